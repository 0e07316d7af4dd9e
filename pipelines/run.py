"""python -m pipelines run: the whole DAG here, with KFP's local runner."""

import os
import shutil
import sys
import uuid
from pathlib import Path

import click

from components.shared.errors import UserError
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
def run_command(params: Path, overrides: tuple[str, ...], output: Path | None) -> None:
    """Run the pipeline's steps as subprocesses, in the order of its graph."""
    run_id = str(uuid.uuid4())
    output = output or Path("runs") / run_id[:8]
    run_pipeline(pipeline_arguments(params, overrides), output, run_id=run_id)
    click.echo(f"outputs: {output}")


def artifact_folder(port: str) -> str:
    """Where DVC and `run` put a port's folder: artifacts/<port>, and the report in reports/."""
    return FOLDERS.get(port, f"artifacts/{port}")


def run_pipeline(arguments: dict[str, str], output: Path, *, run_id: str) -> None:
    """Run with kfp.local and lay the artifacts out as DVC does.

    Raises UserError when the output folder is in use, or when a step failed (its own message stands
    above, in the log).
    """
    from kfp import local

    from pipelines.distillation import distillation

    root = (output / ".kfp").resolve()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(
            f"the output {output} is not an empty folder", remedy="give another --output"
        )
    if "python3" in str(root):
        raise UserError(
            f"the output path {root} holds the word python3, which KFP's local runner replaces",
            remedy="give another --output",
        )
    try:
        root.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"cannot write in {output}: {error.strerror}") from None
    os.environ["KFP_RUN_ID"] = run_id  # the steps inherit it, and MLflow's parent run is found
    local.init(
        local.SubprocessRunner(use_venv=False), pipeline_root=str(root), raise_on_error=False
    )
    # The local runner puts the interpreter's path wherever it reads `python3`, also in parameters.
    escaped = {key: value.replace("python3", r"python\u0033") for key, value in arguments.items()}
    path = os.environ.get("PATH", "")
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{path}"
    try:
        distillation(**escaped)
        _collect(root, output)
    finally:
        os.environ["PATH"] = path
        os.environ.pop("KFP_RUN_ID", None)


def _collect(root: Path, output: Path) -> None:
    """Move each task's artifacts to their place; a missing one means that its step failed."""
    missing = []
    for name in STEPS:
        for port in load_step(name).output_ports:
            found = sorted(root.glob(f"*/{name.replace('_', '-')}/{port}"))
            if not found:
                missing.append(f"{name}.{port}")
                continue
            target = output / artifact_folder(port)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(found[-1], target)
    shutil.rmtree(root, ignore_errors=True)
    if missing:
        raise UserError(
            f"the pipeline failed; not made: {', '.join(missing)}",
            remedy="read the failed step's message above; what was made is in the output folder",
        )
