"""The runner as a KFP component calls it: KFP's ports and parameters become ours."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from decant.runner.font_list import take_font_list
from decant.runner.relayed_output import relayed_output
from decant.runner.run_step import run_step
from decant.runner.train_job.node_plan import plan_from_environment
from decant.runtime.ending import exit_on_error
from decant.runtime.termination import says_what_is_kept
from decant.tracking.spool import SPOOL


def run_component(
    name: str, params: str, ports: Mapping[str, str], metrics: Any, *, page: Any = None
) -> None:
    """Run a step in a KFP task, or on the nodes of a TrainJob where the package has its plan.

    Args:
        params: the step's section as canonical JSON. (A KFP dict would turn 3 into 3.0 and refuse
            null.)
        ports: port to local path.
        metrics: the `dsl.Metrics` output. It gets the step's figures for KFP's UI and, where
            nothing else outlives the pod, the runs that could not be logged in MLflow.
        page: a `dsl.HTML` output, which gets the report.
    """
    paths = {port: Path(path) for port, path in ports.items()}
    is_lost_with_the_pod = "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get(SPOOL)
    if is_lost_with_the_pod:
        os.environ[SPOOL] = metrics.path
    take_font_list()
    with relayed_output(name), exit_on_error():
        if plan := plan_from_environment():
            from decant.runner.train_job.launch import run_as_train_job

            with says_what_is_kept(
                lambda: f"the TrainJob of {name} is deleted; the task's next attempt starts it anew"
            ):
                reporter = run_as_train_job(name, json.loads(params), paths, plan)
        else:
            reporter = run_step(name, json.loads(params), paths)
    if is_lost_with_the_pod and Path(metrics.path).exists():
        reporter.warning(
            f"that spool is this task's artifact {metrics.uri} (minio:// is s3://); name it to "
            "`sync`, or set DECANT_SPOOL in the profile to choose its place"
        )
    for figure, value in {**reporter.metrics, **reporter.measures}.items():
        metrics.log_metric(figure, value)
    if page is not None:
        html = Path(ports["report"]) / "report.html"
        Path(page.path).write_bytes(html.read_bytes())
