"""Runs the whole DAG here with KFP's local runner, and lays the artifacts out as DVC does."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Set
from pathlib import Path

import click

from decant.runner.earlier_attempt import RUN
from decant.runtime.artifacts import CARD
from decant.runtime.errors import UserError
from decant.runtime.litter import sweep, temporary_files_together, temporary_folders
from decant.runtime.parent_watch import children_end_with_this
from decant.runtime.steps import STEPS, artifact_folder, load_step
from decant.runtime.termination import says_what_is_kept
from pipelines.local_run.ending import steps_end_with_this
from pipelines.local_run.step_output import KFP_LOG, kfp_kept, steps_shown, variables
from pipelines.local_run.unfinished_run import (
    FOLDER,
    LocalRun,
    begin,
    digest_of,
    finished_steps,
    unfinished,
)


def run_pipeline(
    arguments: dict[str, str],
    output: Path,
    *,
    run_id: str,
    image: str | None = None,
    gpus: bool = False,
) -> None:
    """Run with kfp.local and lay the artifacts out as DVC does.

    Shows what the steps print; what KFP prints goes to kfp.log in the output folder. Where the
    output has an unfinished run that asked for the same, the steps that it had finished are taken
    over. SIGTERM, Ctrl-C, and the end of this process by kill -9 end the steps too.

    Args:
        image: run each step in a container of it; else in a subprocess.
        gpus: of the containers.

    Raises UserError when the output folder is in use, containers cannot be run here, or a step
    failed (which has shown its own message).
    """
    asked = digest_of(arguments, image, gpus)
    if not unfinished([output], asked) and (
        output.exists() and (not output.is_dir() or any(output.iterdir()))
    ):
        raise UserError(
            f"the output {output} is not an empty folder",
            code="output-taken",
            hint="give another --output",
        )
    root = (output / FOLDER).resolve()
    if not image and "python3" in str(root):
        raise UserError(
            f"the output path {root} has the word python3, which KFP's local runner replaces",
            code="option-value",
            hint="give another --output",
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        alone = begin(root, LocalRun(run_id=run_id, asked=asked))
    except OSError as error:
        raise UserError(
            f"cannot write in {output}: {error.strerror}", code="path-unwritable"
        ) from None
    earlier = set(root.iterdir())
    sweep(temporary_folders())
    with (
        alone,
        says_what_is_kept(lambda: _kept(root, output)),
        temporary_files_together("run"),  # KFP leaves a folder per step
        steps_end_with_this(),
    ):
        try:
            _run(arguments, root, output / KFP_LOG, run_id, image, gpus)
            _collect(root, output, earlier)
        except UserError as error:
            if error.code != "pipeline-failed":  # no step was started
                shutil.rmtree(root, ignore_errors=True)
            raise
    shutil.rmtree(root, ignore_errors=True)


def _run(
    arguments: dict[str, str], root: Path, log: Path, run_id: str, image: str | None, gpus: bool
) -> None:
    click.echo(f"{len(STEPS)} steps; KFP's own log: {log}")
    with (
        steps_shown(root),
        variables({RUN: str(root), "KFP_RUN_ID": run_id}),  # MLflow's parent run is found by it
        children_end_with_this(),
    ):
        if image:
            _run_in_containers(arguments, root, log, run_id, image, gpus)
        else:
            _run_in_subprocesses(arguments, root, log)


def _kept(root: Path, output: Path) -> str:
    done = finished_steps(root)
    return (
        f"its steps are ended too, {done} of {len(STEPS)} were finished; all is kept in {output}, "
        "and the same command goes on from there"
    )


def _run_in_subprocesses(arguments: dict[str, str], root: Path, log: Path) -> None:
    from kfp import local

    from pipelines.distillation import distillation

    local.init(
        local.SubprocessRunner(use_venv=False), pipeline_root=str(root), raise_on_error=False
    )
    # The local runner puts the interpreter's path wherever it reads `python3`, also in parameters.
    escaped = {key: value.replace("python3", r"python\u0033") for key, value in arguments.items()}
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{path}"
    try:
        with variables({"TMPDIR": tempfile.gettempdir()}), kfp_kept(log):
            distillation(**escaped)
    finally:
        os.environ["PATH"] = path


def _run_in_containers(
    arguments: dict[str, str], root: Path, log: Path, run_id: str, image: str, gpus: bool
) -> None:
    from kfp import local
    from kfp.components import load_component_from_file

    from pipelines.kubeflow.compiling import compile_pipeline
    from pipelines.local_run.docker_runner import docker_runner

    package = root / "package.yaml"
    compile_pipeline(package, arguments, image=image)
    ingest = json.loads(arguments["ingest_params"])
    with docker_runner(image, ingest, root, run_id=run_id, gpus=gpus) as runner:
        local.init(runner, pipeline_root=str(root), raise_on_error=False)
        pipeline = load_component_from_file(str(package))
        with kfp_kept(log):
            pipeline(**arguments)


def _collect(root: Path, output: Path, earlier: Set[Path] = frozenset()) -> None:
    """Move each task's artifacts to their place; a missing one means that its step failed.

    Those of earlier attempts are not looked at: what was whole has been taken over.

    KFP's own status is not used: it reports success when a container vanished too soon.
    """
    missing: list[str] = []
    for name in STEPS:
        for port in load_step(name).output_ports:
            places = root.glob(f"*/{name.replace('_', '-')}/{port}")
            found = sorted(place for place in places if place.parents[1] not in earlier)
            if not found or not (found[-1] / CARD).is_file():
                missing.append(f"{name}.{port}")
                continue
            target = output / artifact_folder(port)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)  # of an attempt that failed
            shutil.move(found[-1], target)
    if missing:
        failed = missing[0].partition(".")[0]
        raise UserError(
            f"step {failed} failed; not made: {', '.join(missing)}",
            code="pipeline-failed",
            hint="its message is above; without one it was killed, often for lack of memory, or "
            f"could not start: see {output / KFP_LOG}. What was made is in {output}, and the same "
            "command goes on from there",
        )
