"""decant run: the whole DAG here, with KFP's local runner."""

import time
import uuid
from pathlib import Path

import click

from decant.runner.steps_image import STEPS_IMAGE
from decant.runtime.errors import UserError
from decant.runtime.progress_lines import duration
from decant.runtime.steps import artifact_folder
from pipelines.arguments import pipeline_arguments
from pipelines.local_run.pipeline_run import run_pipeline
from pipelines.local_run.unfinished_run import LocalRun, digest_of, unfinished
from pipelines.onboarding.presets import QUICK

RUNS = Path("runs")


@click.command("run")
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--set", "overrides", multiple=True, help="SECTION.KEY=VALUE, repeatable.")
@click.option("--quick", is_flag=True, help="A first honest answer: less training, fewer forms.")
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
    quick: bool,
    output: Path | None,
    runner: str,
    image: str | None,
    gpus: bool,
) -> None:
    """Run the pipeline's steps here, in the order of its graph."""
    if runner != "docker" and (image or gpus):
        raise UserError(
            "--image and --gpus are for containers",
            code="option-conflict",
            hint="add --runner docker",
        )
    started = time.monotonic()
    used_image = (image or STEPS_IMAGE) if runner == "docker" else None
    arguments = pipeline_arguments(params, overrides, presets=[QUICK] if quick else [])
    asked = digest_of(arguments, used_image, gpus)
    if left := unfinished([output] if output else RUNS.glob("*"), asked):
        output, run = left
        click.echo(f"goes on with the unfinished run in {output}")
    else:
        run = LocalRun(run_id=str(uuid.uuid4()), asked=asked)
        output = output or RUNS / run.run_id[:8]
    run_pipeline(arguments, output, run_id=run.run_id, image=used_image, gpus=gpus)
    click.echo(f"finished in {duration(time.monotonic() - started)}")
    click.echo(f"outputs: {output}")
    _show_verdict(output / artifact_folder("report"))


def _show_verdict(report: Path) -> None:
    # Here: the help of the command needs no package that the base installation lacks.
    from components.evaluate.findings import class_findings
    from decant.figures.metrics_file import METRICS, read_figures

    figures = read_figures(report / METRICS)
    click.echo(f"report: {report / 'report.html'}")
    for sentence in class_findings(figures):
        click.echo(f"finding: {sentence}")
    reasons = "; ".join(figures.gate.reasons)
    click.echo(f"gate: {'passed' if figures.gate.passed else f'failed: {reasons}'}")
