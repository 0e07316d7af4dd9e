"""python -m pipelines run: the whole DAG here, with KFP's local runner."""

import json
import os
import shutil
import sys
import uuid
from pathlib import Path

import click

from components.shared.artifacts import CARD
from components.shared.errors import UserError
from components.shared.image import STEPS_IMAGE
from components.shared.steps import STEPS, load_step
from pipelines.arguments import pipeline_arguments

# Where DVC has an artifact, from the folder of the execution.
FOLDERS = {"report": "reports"}


@click.command("run")
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--set", "overrides", multiple=True, help="SECTION.KEY=VALUE, repeatable.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for the outputs; runs/<id> by default.",
)
@click.option(
    "--runner",
    type=click.Choice(["subprocess", "docker"]),
    default="subprocess",
    show_default=True,
    help="Where each step runs: in this environment, or in a container of the image.",
)
@click.option("--image", help=f"With --runner docker; {STEPS_IMAGE} by default.")
@click.option("--gpus", is_flag=True, help="With --runner docker: every container sees all GPUs.")
def run_command(
    params: Path,
    overrides: tuple[str, ...],
    output: Path | None,
    runner: str,
    image: str | None,
    gpus: bool,
) -> None:
    """Run the pipeline's steps here, in the order of its graph."""
    if runner != "docker" and (image or gpus):
        raise UserError("--image and --gpus are for containers", remedy="add --runner docker")
    run_id = str(uuid.uuid4())
    output = output or Path("runs") / run_id[:8]
    run_pipeline(
        pipeline_arguments(params, overrides),
        output,
        run_id=run_id,
        image=(image or STEPS_IMAGE) if runner == "docker" else None,
        gpus=gpus,
    )
    click.echo(f"outputs: {output}")


def artifact_folder(port: str) -> str:
    """Where DVC and `run` put a port's folder: artifacts/<port>, and the report in reports/."""
    return FOLDERS.get(port, f"artifacts/{port}")


def run_pipeline(
    arguments: dict[str, str],
    output: Path,
    *,
    run_id: str,
    image: str | None = None,
    gpus: bool = False,
) -> None:
    """Run with kfp.local and lay the artifacts out as DVC does.

    Args:
        image: run each step in a container of it; else in a subprocess.
        gpus: of the containers.

    Raises UserError when the output folder is in use, containers cannot be run here, or a step
    failed (its own message stands above, in the log).
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(
            f"the output {output} is not an empty folder", remedy="give another --output"
        )
    root = (output / ".kfp").resolve()
    if not image and "python3" in str(root):
        raise UserError(
            f"the output path {root} holds the word python3, which KFP's local runner replaces",
            remedy="give another --output",
        )
    try:
        root.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"cannot write in {output}: {error.strerror}") from None
    try:
        if image:
            _run_in_containers(arguments, root, run_id, image, gpus)
        else:
            _run_in_subprocesses(arguments, root, run_id)
        _collect(root, output)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _run_in_subprocesses(arguments: dict[str, str], root: Path, run_id: str) -> None:
    from kfp import local

    from pipelines.distillation import distillation

    local.init(
        local.SubprocessRunner(use_venv=False), pipeline_root=str(root), raise_on_error=False
    )
    # The local runner puts the interpreter's path wherever it reads `python3`, also in parameters.
    escaped = {key: value.replace("python3", r"python\u0033") for key, value in arguments.items()}
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{path}"
    os.environ["KFP_RUN_ID"] = run_id  # the steps inherit it, and MLflow's parent run is found
    try:
        distillation(**escaped)
    finally:
        os.environ["PATH"] = path
        os.environ.pop("KFP_RUN_ID", None)


def _run_in_containers(
    arguments: dict[str, str], root: Path, run_id: str, image: str, gpus: bool
) -> None:
    from kfp import local
    from kfp.components import load_component_from_file

    from pipelines.compile import compile_pipeline
    from pipelines.docker_runner import docker_runner

    package = root / "package.yaml"
    compile_pipeline(package, arguments, image=image)
    ingest = json.loads(arguments["ingest_params"])
    with docker_runner(image, ingest, root, run_id=run_id, gpus=gpus) as runner:
        local.init(runner, pipeline_root=str(root), raise_on_error=False)
        load_component_from_file(str(package))(**arguments)


def _collect(root: Path, output: Path) -> None:
    """Move each task's artifacts to their place; a missing one means that its step failed.

    What KFP says of a task is not asked: it takes a container that was gone too soon for a success.
    """
    missing = []
    for name in STEPS:
        for port in load_step(name).output_ports:
            found = sorted(root.glob(f"*/{name.replace('_', '-')}/{port}"))
            if not found or not (found[-1] / CARD).is_file():
                missing.append(f"{name}.{port}")
                continue
            target = output / artifact_folder(port)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(found[-1], target)
    if missing:
        raise UserError(
            f"the pipeline failed; not made: {', '.join(missing)}",
            remedy="read the failed step's message above; what was made is in the output folder",
        )
