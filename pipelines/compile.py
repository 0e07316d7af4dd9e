"""python -m pipelines compile: write the package that a Kubeflow cluster runs."""

import tempfile
from pathlib import Path
from typing import Any

import click
from kfp import compiler
from ruamel.yaml import YAML

from components.shared.errors import UserError
from components.shared.image import STEPS_IMAGE
from pipelines.arguments import pipeline_arguments
from pipelines.distillation import distillation


@click.command("compile")
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--set", "overrides", multiple=True, help="SECTION.KEY=VALUE, repeatable.")
@click.option("--image", default=STEPS_IMAGE, show_default=True, help="Image of every step.")
@click.option("--mlflow-uri", help="Tracking server that the cluster reaches, without secrets.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("build/decant.yaml"),
    show_default=True,
    help="The package to write.",
)
def compile_command(
    params: Path, overrides: tuple[str, ...], image: str, mlflow_uri: str | None, output: Path
) -> None:
    """Write the pipeline package, with the parameters as its defaults."""
    arguments = pipeline_arguments(params, overrides)
    compile_pipeline(output, arguments, image=image, mlflow_uri=mlflow_uri)
    click.echo(f"{output}: pipeline decant-distillation, steps from {image}")


def compile_pipeline(
    output: Path,
    arguments: dict[str, str],
    *,
    image: str = STEPS_IMAGE,
    mlflow_uri: str | None = None,
) -> None:
    """Compile with the arguments as defaults, and the image and environment in every executor.

    Raises UserError for an image that can change under its name: KFP's cache compares names.
    """
    check_image(image)
    if output.is_dir():
        raise UserError(f"the output {output} is a folder", remedy="name a file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write in {output.parent}: {error.strerror}") from None
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(
            distillation, str(compiled), pipeline_parameters=dict(arguments)
        )
        documents = read_package(compiled)
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        executor["container"]["image"] = image
        if mlflow_uri:
            executor["container"]["env"] = [{"name": "MLFLOW_TRACKING_URI", "value": mlflow_uri}]
    writer = YAML()
    writer.width = 10_000
    partial = output.with_name(f".{output.name}.partial")
    writer.dump_all(documents, partial)
    partial.replace(output)


def read_package(file: Path) -> list[dict[str, Any]]:
    """The package's YAML documents: the pipeline spec and, where used, the platform's settings."""
    return list(YAML(typ="safe").load_all(file.read_text("utf-8")))


def check_image(image: str) -> None:
    name = image.rpartition("/")[2]
    if "@sha256:" not in image and (":" not in name or name.endswith(":latest")):
        raise UserError(
            f"the image '{image}' has no fixed tag, so KFP's cache would trust stale results",
            remedy="name a version (decant-steps:0.1.0) or, better, a digest (...@sha256:...)",
        )
