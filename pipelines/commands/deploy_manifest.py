"""decant deploy-manifest: the Kubernetes manifest that serves a registered model."""

import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from decant.runner.steps_image import SERVE_IMAGE, is_fixed
from decant.runtime.errors import UserError
from decant.runtime.secrets import holds_secret, shown_uri, without_secrets
from decant.tracking.model_reference import ModelReference
from pipelines.registry.model_argument import VERSION, WHICH
from pipelines.serving.manifests import ServedModel, deployment, inference_service, service

KINDS = ("inferenceservice", "deployment", "both")
_LABEL = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1035, of Kubernetes' names
_LONGEST_NAME = 50  # KServe puts `-predictor` and more behind it


@click.command("deploy-manifest")
@click.option("--model", type=VERSION, required=True, help=f"{WHICH}.")
@click.option("--kind", type=click.Choice(KINDS), default=KINDS[0], show_default=True)
@click.option(
    "--image", default=SERVE_IMAGE, show_default=True, help="Name under which the cluster pulls it."
)
@click.option("--name", help="Name of the objects; the model's name by default.")
@click.option("--namespace", help="The one of `kubectl apply` by default.")
@click.option(
    "--tracking-uri", help="Address of MLflow for the pods; MLFLOW_TRACKING_URI by default."
)
@click.option(
    "--token-secret",
    default="mlflow-token",
    show_default=True,
    help="Secret whose key `token` is MLflow's access token; it may be absent.",
)
@click.option("--replicas", type=click.IntRange(1, 1000), default=2, show_default=True)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("build/serving.yaml"),
    show_default=True,
)
def deploy_manifest_command(
    model: ModelReference,
    kind: str,
    image: str,
    name: str | None,
    namespace: str | None,
    tracking_uri: str | None,
    token_secret: str,
    replicas: int,
    output: Path,
) -> None:
    """Write a manifest for a registered model: for KServe, for plain Kubernetes, or for both.

    An alias is resolved to its present version when the registry can be reached.
    """
    pods_uri = check_tracking_uri(tracking_uri)
    _check_image(image)
    found, note = resolve(model, pods_uri)
    served = ServedModel(
        name=_object_name(name, model.name),
        namespace=_checked(namespace, "--namespace") if namespace else "",
        model=str(found),
        asked_for=str(model),
        image=image,
        tracking_uri=pods_uri,
        token_secret=_checked(token_secret, "--token-secret"),
        replicas=replicas,
    )
    documents = [inference_service(served)] if kind != "deployment" else []
    documents += [deployment(served), service(served)] if kind != "inferenceservice" else []
    write_manifest(output, documents, note)
    kinds = ", ".join(document["kind"] for document in documents)
    click.echo(f"{output}: {kinds} {served.name}; {note}")


def check_tracking_uri(given: str | None) -> str:
    """The server from which the pods load the model.

    Raises UserError when no pod could reach it, or it has a password.
    """
    uri = given or os.environ.get("MLFLOW_TRACKING_URI", "")
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(
            "the pods need an MLflow server to load the model from; found "
            f"{parts.scheme + '://...' if parts.scheme else 'none'}",
            code="tracking-local",
            hint="give --tracking-uri http://HOST:PORT, as the cluster reaches it",
        )
    if holds_secret(uri):
        raise UserError(
            "the tracking URI has a password or a token, which would be in the manifest",
            code="secret-exposed",
            hint="put a token into a secret, and give its name with --token-secret",
        )
    return uri


def resolve(uri: ModelReference, pods_uri: str) -> tuple[ModelReference, str]:
    """The version behind an alias, and a sentence on how it was resolved.

    MLFLOW_TRACKING_URI is used where it is set, since this machine may reach the server under
    another name than the pods do.

    Raises UserError when the registry answers that it has no such alias or model.
    """
    if uri.version:
        return uri, f"the model is {uri}"
    from decant.tracking.mlflow_store import open_client

    shown = shown_uri(os.environ.setdefault("MLFLOW_TRACKING_URI", pods_uri))
    try:
        client = open_client()
        from mlflow.exceptions import MlflowException
    except UserError:
        raise
    except Exception as error:  # the network's, the database's
        return uri, _unresolved(uri, shown, without_secrets(str(error)))
    try:
        version = client.get_model_version_by_alias(uri.name, uri.alias).version
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise UserError(
                f"there is no {uri} in {shown}",
                code="model-version-unknown",
                hint=f"look at it with `mlflow ui`, or give {uri.alias} to a version",
            ) from None
        return uri, _unresolved(uri, shown, without_secrets(str(error)))
    found = ModelReference(name=uri.name, version=str(version))
    return found, f"the model is {found}, which {uri} named in {shown} when this was written"


def write_manifest(output: Path, documents: list[dict[str, Any]], note: str) -> None:
    """One YAML file, whole or not at all. Raises UserError when it cannot be written."""
    if output.is_dir():
        raise UserError(f"the output {output} is a folder", code="output-taken", hint="give a file")
    writer = YAML()
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.width = 10_000
    writer.explicit_start = True
    first = CommentedMap(documents[0])
    comment = f"Made by `decant deploy-manifest`: {note}."
    first.yaml_set_start_comment(comment.replace("\n", " "))
    partial = output.with_name(f".{output.name}.partial")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        writer.dump_all([first, *documents[1:]], partial)
        partial.replace(output)
    except OSError as error:
        raise UserError(
            f"cannot write {output}: {error.strerror}", code="path-unwritable"
        ) from None


def _unresolved(uri: ModelReference, shown: str, problem: str) -> str:
    first_line = (problem.splitlines() or ["no reason given"])[0]
    return (
        f"the model is {uri}, which each pod resolves when it starts, since {shown} could not be "
        f"reached ({first_line}); write the manifest again where it can, to pin a version"
    )


def _check_image(image: str) -> None:
    if not is_fixed(image):
        raise UserError(
            f"the image '{image}' has no fixed tag, so pods could differ from each other",
            code="image-not-fixed",
            hint="name a version (decant-serve:0.2.0) or, better, a digest (...@sha256:...)",
        )


def _object_name(given: str | None, model: str) -> str:
    if given:
        return _checked(given, "--name")
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    name = name if name[:1].isalpha() else f"model-{name}"
    return name[:_LONGEST_NAME].rstrip("-")


def _checked(value: str, option: str) -> str:
    if not _LABEL.fullmatch(value) or (option == "--name" and len(value) > _LONGEST_NAME):
        raise UserError(
            f"{option} {value} is not a valid name in Kubernetes",
            code="option-value",
            hint=f"lower-case letters, digits and dashes, a letter first, up to {_LONGEST_NAME}",
        )
    return value
