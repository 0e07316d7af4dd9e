"""Kubeflow's server keeps runs in MLflow itself: a step writes into the run made for its task."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from decant.tracking.delivery import send
from decant.tracking.mlflow_store import experiment_id, open_client
from decant.tracking.parent_run import parent_here
from decant.tracking.spool import Spool, spool_uri
from decant.tracking.tracked_step import Origin, tracked_step
from tests.mlflow_server import serving_sqlite
from tests.spooling import Params, Store, quiet_reporter

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server; its URL."""
    with serving_sqlite(tmp_path_factory.mktemp("server")) as url:
        yield url


@dataclass(frozen=True)
class KubeflowRuns:
    """The runs that Kubeflow's server made: the execution's, and one per task below it."""

    client: Any
    experiment: str
    root: str
    environment: pytest.MonkeyPatch

    def task(self, name: str) -> str:
        """The run that it makes for a task, whose container then gets the variables."""
        tags = {"mlflow.parentRunId": self.root}
        run_id = self.client.create_run(self.experiment, run_name=name, tags=tags).info.run_id
        self.environment.setenv("MLFLOW_RUN_ID", run_id)
        return str(run_id)

    def all(self) -> list[Any]:
        found = self.client.search_runs([self.experiment], order_by=["attributes.start_time ASC"])
        return list(found)


@pytest.fixture
def kubeflow(
    mlflow: str, mlflow_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> KubeflowRuns:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.setenv("KFP_RUN_ID", "91d1e48c-09ea-4b81-af00-b76054dd1e0d")
    client = open_client()
    experiment = client.create_experiment(f"KFP-{tmp_path.name}")
    root = client.create_run(experiment, run_name="d0edceef45ef").info.run_id
    config = {"endpoint": mlflow, "parentRunId": root, "experimentId": experiment}
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    monkeypatch.setenv("KFP_MLFLOW_CONFIG", json.dumps(config))
    return KubeflowRuns(client, experiment, root, monkeypatch)


def run_step(step: str, key: str, *origins: Origin) -> Any:
    reporter = quiet_reporter()
    with tracked_step(step, key, Params(), list(origins), reporter) as run:
        reporter.point("loss", 1, 0.5)
        reporter.metric("accuracy", 0.8)
        run.finish(reporter, 1.5, {})
    return run


def test_every_step_is_there_once_in_its_tasks_run(kubeflow: KubeflowRuns) -> None:
    tasks = [kubeflow.task("ingest")]
    first = run_step("ingest", "first")
    tasks.append(kubeflow.task("finetune"))
    second = run_step("finetune", "second", Origin("ingest", "first", first.step_runs))
    assert [first.run_id, second.run_id] == tasks
    runs = kubeflow.all()
    assert [run.info.run_id for run in runs] == [kubeflow.root, *tasks]
    root, _, tuned = runs
    assert root.info.status == "RUNNING", "the server closes it"
    assert root.data.metrics["finetune/accuracy"] == 0.8
    assert tuned.info.status == "FINISHED"
    assert tuned.data.tags["decant.step"] == "finetune"
    assert tuned.data.tags["decant.behind.ingest"] == first.run_id
    assert tuned.data.tags["mlflow.parentRunId"] == kubeflow.root
    assert tuned.data.params == {"finetune.epochs": "2", "finetune.rate": "0.5"}
    assert (tuned.data.metrics["loss"], tuned.data.metrics["seconds"]) == (0.5, 1.5)
    assert not [run for run in kubeflow.all() if run.info.run_name.startswith("pipeline-")]


def test_what_fails_is_said_in_the_tasks_run(kubeflow: KubeflowRuns) -> None:
    task = kubeflow.task("distill")
    with (
        pytest.raises(ZeroDivisionError),
        tracked_step("distill", "key", Params(), [], quiet_reporter()),
    ):
        _ = 1 / 0
    failed = kubeflow.client.get_run(task)
    assert failed.info.status == "FAILED"
    assert "ZeroDivisionError" in failed.data.tags["decant.error"]
    again = run_step("distill", "key")  # the server tries the task again, in the same run
    assert again.run_id == task
    assert kubeflow.client.get_run(task).info.status == "FINISHED"


def test_a_spooled_step_is_sent_into_its_tasks_run(
    kubeflow: KubeflowRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = kubeflow.task("evaluate")
    with monkeypatch.context() as away:
        away.setattr("decant.tracking.tracked_step.open_client", _refused)
        assert run_step("evaluate", "key").run_id == ""
    (spooled,) = Spool(spool_uri()).runs()
    assert spooled.record and spooled.record.parent.task_run == task
    place = send(kubeflow.client, Spool(spool_uri()), spooled)
    assert (place.run_id, place.parent_id) == (task, kubeflow.root)
    assert kubeflow.client.get_run(task).data.metrics["accuracy"] == 0.8


@pytest.mark.parametrize(
    "config",
    [
        "",
        "no JSON",
        "[]",
        '{"parentRunId": "a"}',
        '{"endpoint": "http://elsewhere:5000", "parentRunId": "a"}',
    ],
)
def test_without_a_config_of_this_server_a_given_run_is_the_parent(
    kubeflow: KubeflowRuns, config: str
) -> None:
    kubeflow.environment.setenv("KFP_MLFLOW_CONFIG", config)
    given = kubeflow.task("mine")
    parent = parent_here()
    assert (parent.given, parent.task_run) == (given, "")


def test_an_experiment_may_be_given_by_its_id(kubeflow: KubeflowRuns) -> None:
    kubeflow.environment.delenv("KFP_MLFLOW_CONFIG")
    run = run_step("ingest", "key")
    assert kubeflow.client.get_run(run.run_id).info.experiment_id == kubeflow.experiment
    assert experiment_id(kubeflow.client) == kubeflow.experiment
    kubeflow.environment.setenv("MLFLOW_EXPERIMENT_NAME", f"named-{kubeflow.experiment}")
    named = kubeflow.client.get_run(run_step("ingest", "key").run_id)
    experiment = kubeflow.client.get_experiment(named.info.experiment_id)
    assert experiment.name == f"named-{kubeflow.experiment}"


def _refused() -> Any:
    raise ConnectionError("no answer")
