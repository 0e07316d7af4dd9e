"""decant compile: write the package that a Kubeflow cluster runs."""

import tempfile
from pathlib import Path

import click

from pipelines.kubeflow.compiling import compile_pipeline, prepare_output, step_images
from pipelines.kubeflow.package import image_options, staging_option
from pipelines.profiles.profile import load_profile, shipped_profiles
from pipelines.staging.place_sources import STEP
from pipelines.staging.sending import cluster_arguments, send_all


@click.command("compile")
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--set", "overrides", multiple=True, help="SECTION.KEY=VALUE, repeatable.")
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME_OR_PATH",
    help=f"How and where the steps run: {', '.join(shipped_profiles())}, or a YAML file.",
)
@image_options
@click.option("--mlflow-uri", help="Tracking server that the cluster reaches, without secrets.")
@staging_option
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
    cpu_image: str | None,
    mlflow_uri: str | None,
    staging: str | None,
    output: Path,
) -> None:
    """Write the pipeline package, with the parameters as its defaults.

    Local data and encoders are sent to --staging first, since the package names them there.
    """
    profile = load_profile(profile_name) if profile_name else None
    arguments, placed = cluster_arguments(params, overrides, profile, staging)
    prepare_output(output)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".decant-") as folder:
        file = Path(folder) / output.name
        compile_pipeline(
            file,
            arguments,
            profile=profile,
            image=image,
            cpu_image=cpu_image,
            mlflow_uri=mlflow_uri,
            uncached=[STEP] if placed.unpinned else [],
        )
        send_all(placed)
        file.replace(output)
    images = dict.fromkeys(step_images(profile, image, cpu_image).values())
    click.echo(f"{output}: pipeline decant-distillation, steps from {', '.join(images)}")
