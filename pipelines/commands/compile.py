"""decant compile: write the package that a Kubeflow cluster runs."""

from pathlib import Path

import click

from decant.runner.steps_image import STEPS_IMAGE
from pipelines.arguments import pipeline_arguments
from pipelines.kubeflow.compiling import compile_pipeline, step_images
from pipelines.profiles.profile import load_profile, shipped_profiles


@click.command("compile")
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--set", "overrides", multiple=True, help="SECTION.KEY=VALUE, repeatable.")
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME_OR_PATH",
    help=f"How and where the steps run: {', '.join(shipped_profiles())}, or a YAML file.",
)
@click.option("--image", help=f"Image of every step; else the profile's, else {STEPS_IMAGE}.")
@click.option("--mlflow-uri", help="Tracking server that the cluster reaches, without secrets.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("build/decant.yaml"),
    show_default=True,
    help="The package to write.",
)
def compile_command(
    params: Path,
    overrides: tuple[str, ...],
    profile_name: str | None,
    image: str | None,
    mlflow_uri: str | None,
    output: Path,
) -> None:
    """Write the pipeline package, with the parameters as its defaults."""
    profile = load_profile(profile_name) if profile_name else None
    arguments = pipeline_arguments(params, overrides)
    compile_pipeline(output, arguments, profile=profile, image=image, mlflow_uri=mlflow_uri)
    images = dict.fromkeys(step_images(profile, image).values())
    click.echo(f"{output}: pipeline decant-distillation, steps from {', '.join(images)}")
