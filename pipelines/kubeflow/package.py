"""The package that is uploaded: compiled with its parameters, and named by its content."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from ruamel.yaml import YAML

from decant.runtime.errors import UserError
from decant.runtime.identity import canonical_json, text_digest
from decant.runtime.secrets import shown_uri

if TYPE_CHECKING:
    from pipelines.staging.place_sources import Placed

_COMMIT_CHARACTERS = 12
_DIGEST_CHARACTERS = 12
# MLflow's addresses of a store that would be lost with the pod.
_LOCAL_STORES = ("sqlite:", "sqlite+", "file:")


@dataclass(frozen=True, kw_only=True)
class PackageOptions:
    params: Path
    overrides: tuple[str, ...]
    profile: str | None
    image: str | None
    mlflow_uri: str | None
    cpu_image: str | None = None
    staging: str | None = None
    use_cache: bool = True


@dataclass(frozen=True, kw_only=True)
class Package:
    """A compiled pipeline.

    Attributes:
        file: the package, a YAML file.
        documents: its content: the pipeline's specification, the platform's settings if any.
        pipeline: the pipeline's name.
        version: `<commit>-<digest>` of a clean checkout, `<commit>-dirty-<digest>` of another,
            `<digest>` without git. The digest covers all of the package: parameters, digests of the
            steps' code, image, profile, caching.
        arguments: the parameters of a run.
        service_account: the Kubernetes account in the profile, or None.
        placed: the sources, and what has to be sent before a run of it starts.
    """

    file: Path
    documents: list[dict[str, Any]]
    pipeline: str
    version: str
    arguments: dict[str, str]
    service_account: str | None
    placed: "Placed"


def package_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which gets them as `package: PackageOptions`."""

    @click.option(
        "--params",
        type=click.Path(path_type=Path),
        default=Path("params.yaml"),
        show_default=True,
        help="Parameters of the steps.",
    )
    @click.option("--set", "overrides", multiple=True, help="SECTION.KEY=VALUE, repeatable.")
    @click.option("--profile", help="Where and on which hardware the tasks run: a name or a file.")
    @image_options
    @click.option("--mlflow-uri", help="Tracking server that the cluster reaches, without secrets.")
    @staging_option
    @functools.wraps(command)
    def with_package(
        *,
        params: Path,
        overrides: tuple[str, ...],
        profile: str | None,
        image: str | None,
        cpu_image: str | None,
        mlflow_uri: str | None,
        staging: str | None,
        no_cache: bool = False,
        **others: Any,
    ) -> Any:
        package = PackageOptions(
            params=params,
            overrides=overrides,
            profile=profile,
            image=image,
            cpu_image=cpu_image,
            mlflow_uri=mlflow_uri,
            staging=staging,
            use_cache=not no_cache,
        )
        return command(package=package, **others)

    return with_package


def image_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the images."""
    of_all = click.option(
        "--image", help="Image of every step; else the profile's, else this version's by its tag."
    )
    without_gpu = click.option(
        "--cpu-image", help="Image of the steps without a GPU in the profile, in place of --image."
    )
    return of_all(without_gpu(command))


def staging_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option for the place of local data."""
    return click.option(
        "--staging",
        metavar="URI",
        help="Bucket, or folder on a claim, to which local data and encoders are sent, once by "
        "their content: s3://BUCKET/FOLDER. Else the profile's, else the DVC remote.",
    )(command)


def make_package(options: PackageOptions, folder: Path) -> Package:
    """Compile into the folder; nothing is sent.

    Raises UserError for bad parameters, local data for which there is no place, an image that can
    change under its name, a missing profile, or a tracking store that no cluster reaches.
    """
    from decant.runtime.git_repository import git_commit
    from pipelines.kubeflow.compiling import compile_pipeline, read_package
    from pipelines.profiles.apply_profile import arguments_for
    from pipelines.profiles.profile import load_profile
    from pipelines.staging.place_sources import STEP
    from pipelines.staging.sending import cluster_arguments

    check_tracking_uri(options.mlflow_uri)
    file = folder / "decant.yaml"
    profile = load_profile(options.profile) if options.profile else None
    arguments, placed = cluster_arguments(
        options.params, options.overrides, profile, options.staging
    )
    if profile:
        arguments = arguments_for(profile, arguments)
    compile_pipeline(
        file,
        arguments,
        profile=profile,
        image=options.image,
        cpu_image=options.cpu_image,
        mlflow_uri=options.mlflow_uri,
        uncached=[STEP] if placed.unpinned else [],
    )
    documents = read_package(file)
    if not options.use_cache:
        _switch_caching_off(documents[0])
        writer = YAML()
        writer.width = 10_000
        writer.dump_all(documents, file)
    digest = text_digest(canonical_json(documents))[:_DIGEST_CHARACTERS]
    return Package(
        file=file,
        documents=documents,
        pipeline=documents[0]["pipelineInfo"]["name"],
        version=version_name(git_commit(), digest),
        arguments=arguments,
        service_account=profile.service_account if profile else None,
        placed=placed,
    )


def version_name(commit: str, digest: str) -> str:
    """The output of `git describe` and a digest, as one name."""
    if commit in ("", "unknown"):
        return digest
    clean, dirty, _ = commit.partition("-dirty")
    return f"{clean[:_COMMIT_CHARACTERS]}{dirty}-{digest}"


def check_tracking_uri(uri: str | None) -> None:
    """Raises UserError for a tracking store that would be lost with the pod."""
    if uri and (uri.startswith(_LOCAL_STORES) or "://" not in uri):
        raise UserError(
            f"the MLflow store {shown_uri(uri)} is local: it would be lost with the pod",
            code="tracking-local",
            hint="give a server that the cluster reaches",
        )


def names_tracking(documents: list[dict[str, Any]]) -> bool:
    """Whether the package sets MLflow's address for the steps, or switches tracking off.

    Either by a value, or by the name of a secret or config map of the cluster.
    """
    settings = ("MLFLOW_TRACKING_URI", "DECANT_TRACKING")
    text = canonical_json(documents)
    return any(f'"{name}"' in text for name in settings)


def environment_of(documents: list[dict[str, Any]]) -> dict[str, str]:
    """The variables that the package sets in its containers, by value."""
    executors = documents[0]["deploymentSpec"]["executors"].values()
    return {
        variable["name"]: variable.get("value", "")
        for executor in executors
        for variable in executor["container"].get("env", [])
    }


def _switch_caching_off(specification: dict[str, Any]) -> None:
    """In every task, also of nested pipelines; the API has no such option for a stored version."""
    graphs = [specification["root"], *specification.get("components", {}).values()]
    for graph in graphs:
        for task in graph.get("dag", {}).get("tasks", {}).values():
            task["cachingOptions"] = {}
