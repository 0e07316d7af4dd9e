"""The containers of `decant run --runner docker`: what they get from this machine.

They see the run's folder, the cache, the folders that ingest reads (read-only), a local MLflow
store and the spool, each under the path that it has here. They run as the caller, so that all files
belong to the caller.
"""

import getpass
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from docker.client import DockerClient
from docker.errors import APIError, ContainerError, DockerException, ImageNotFound
from docker.types import DeviceRequest, Mount
from kfp import local
from requests.exceptions import RequestException

from decant.runtime.cache_folder import cache_folder
from decant.runtime.errors import UserError
from decant.runtime.identity import code_digest, lock_digest
from decant.runtime.process import read_tag, this_process
from decant.runtime.secrets import shown_uri, without_secrets
from decant.runtime.steps import STEPS
from decant.sources.local import path_and_pin
from decant.tracking.mlflow_store import tracking_is_on, tracking_uri
from decant.tracking.spool import spool_uri
from decant.tracking.sqlite_address import sqlite_file, sqlite_uri
from docker import client as docker_client

RUN_LABEL = "decant.run"
PROCESS_LABEL = "decant.process"  # which `decant run` it belongs to
REVISION_LABEL = "org.opencontainers.image.revision"
PATIENCE_SECONDS = 600  # for one answer: some storage drivers copy the image for each container
SHARED_MEMORY = "2g"  # of /dev/shm, where the processes of a step exchange tensors

# Prefixes of environment variables that containers get, as a subprocess does.
_OF_TOOLS = ("MLFLOW_", "DECANT_", "AWS_", "HF_", "FSSPEC_", "OMP_", "CUDA_", "TOKENIZERS_")
_OF_NETWORK = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_PASSED = _OF_TOOLS + _OF_NETWORK
_DIGESTS = (
    "import json; from decant.runtime.identity import code_digest, lock_digest; "
    "from decant.runtime.steps import STEPS; "
    "print(json.dumps({step: code_digest(step) for step in STEPS} | {'lock': lock_digest()}))"
)


@contextmanager
def docker_runner(
    image: str, ingest: Mapping[str, Any], root: Path, *, run_id: str, gpus: bool = False
) -> Iterator[local.DockerRunner]:
    """A runner for kfp.local; its containers are removed at the end of the block, in any case.

    Args:
        ingest: the step's parameters, which name local folders.
        root: absolute, the pipeline's root, which KFP mounts itself.
        gpus: give every container all GPUs.

    Raises UserError when no daemon answers, the image is missing or cannot be run here, or has
    other code than this checkout.
    """
    client, info = _connect()
    _remove_lost_containers(client)
    try:
        arguments = container_arguments(info, ingest, root, run_id=run_id, gpus=gpus)
        check_image(client, image, arguments)
        with _patient_clients():
            yield local.DockerRunner(**arguments)
    except (DockerException, RequestException) as error:
        raise UserError(f"Docker failed: {_explained(error)}", code="docker-failed") from None
    finally:
        _remove_containers(client, run_id)
        client.close()


def container_arguments(
    info: Mapping[str, Any], ingest: Mapping[str, Any], root: Path, *, run_id: str, gpus: bool
) -> dict[str, Any]:
    """Options of `docker run` beside image and command, as docker-py names them.

    Args:
        info: the daemon's own description.

    Raises UserError when a folder to mount cannot be created.
    """
    options = info.get("SecurityOptions") or []
    store, store_folder = _store()
    temporary, cache = root / "tmp", cache_folder().resolve()
    spool, spool_folder = _spool()
    written = [cache, *(folder for folder in (store_folder, spool_folder) if folder)]
    _make(temporary, *written)
    arguments: dict[str, Any] = {
        "network_mode": "host",  # so that the URI of an MLflow server on this machine works
        "user": _user(options),
        "working_dir": str(Path.cwd()),  # parameters may hold relative paths
        "environment": _environment(store, spool, cache, temporary, run_id),
        "mounts": _mounts(_read_folders(ingest), written),
        "read_only": True,
        "tmpfs": {"/tmp": ""},
        "shm_size": SHARED_MEMORY,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "labels": {RUN_LABEL: run_id, PROCESS_LABEL: this_process().as_tag()},
    }
    if any("name=selinux" in option for option in options):
        arguments["security_opt"].append("label=disable")  # the user's folders keep their labels
    if gpus:
        arguments["device_requests"] = [DeviceRequest(count=-1, capabilities=[["gpu"]])]
    return arguments


def check_image(client: Any, image: str, arguments: Mapping[str, Any]) -> None:
    """Run the image once, as the steps will run, and compare its code with this checkout's.

    Raises UserError when it is missing, cannot be run, or has other code.
    """
    try:
        found = client.images.get(image)
    except ImageNotFound:
        raise UserError(
            f"there is no image {image} on this machine",
            code="image-missing",
            hint="make it with `make image`, or name another with --image",
        ) from None
    try:
        answer = client.containers.run(
            image, ["python", "-c", _DIGESTS], remove=True, **dict(arguments)
        )
        theirs = json.loads(answer.decode().splitlines()[-1])
    except (ContainerError, ValueError, IndexError) as error:
        raise UserError(
            f"the image {image} does not report its code: {_explained(error)}",
            code="image-invalid",
            hint="build it again with `make image`",
        ) from None
    except APIError as error:
        raise UserError(
            f"Docker cannot run {image} here: {_explained(error)}",
            code="docker-failed",
            hint="the folders of this machine must be those of the daemon's; "
            "--gpus needs the NVIDIA container toolkit",
        ) from None
    ours = {step: code_digest(step) for step in STEPS} | {"lock": lock_digest()}
    if other := [name for name in ours if ours[name] != theirs.get(name)]:
        revision = (found.labels or {}).get(REVISION_LABEL, "unknown")
        raise UserError(
            f"the image {image} (commit {revision}) has other code than this checkout: "
            f"{', '.join(other)}",
            code="image-outdated",
            hint="build it again with `make image`",
        )


def _connect() -> tuple[Any, dict[str, Any]]:
    """A client of the daemon in DOCKER_HOST, or of the local one, and its description."""
    try:
        client = DockerClient.from_env()
        info = dict(client.info())
        client.api.timeout = PATIENCE_SECONDS
        return client, info
    except (DockerException, RequestException) as error:
        where = shown_uri(os.environ.get("DOCKER_HOST", "its usual place"))
        raise UserError(
            f"no Docker daemon answers at {where}: {_explained(error)}",
            code="docker-unreachable",
            hint="start it, join its group, or set its address: export DOCKER_HOST=unix://...",
        ) from None


def _user(options: Iterable[str]) -> str:
    """The caller. A rootless daemon maps its root to the caller, other users to unknown ones."""
    if any("name=rootless" in option for option in options) or not hasattr(os, "getuid"):
        return "0:0"
    return f"{os.getuid()}:{os.getgid()}"


def _environment(
    store: str, spool: str, cache: Path, temporary: Path, run_id: str
) -> dict[str, str]:
    environment = {
        name: value for name, value in os.environ.items() if name.upper().startswith(_PASSED)
    }
    environment.pop("DECANT_COMMIT", None)  # the image has its own
    if store:
        environment["MLFLOW_TRACKING_URI"] = store
        environment["DECANT_SPOOL"] = spool
    with suppress(KeyError, OSError):
        environment["USER"] = getpass.getuser()  # the caller's number has no name in the container
    return environment | {
        "KFP_RUN_ID": run_id,  # by which the steps find MLflow's parent run
        "DECANT_CACHE": str(cache),
        "HOME": str(temporary),
        "TMPDIR": str(temporary),  # on the disk: /tmp is in memory
        "MPLCONFIGDIR": str(temporary / "matplotlib"),
    }


def _store() -> tuple[str, Path | None]:
    """MLflow's URI with an absolute path, and the folder to mount where the store is local."""
    if not tracking_is_on():
        return "", None
    uri = tracking_uri()
    if database := sqlite_file(uri):
        file = database.resolve()
        return sqlite_uri(file), file.parent  # SQLite writes beside its file
    if "://" in uri and not uri.startswith("file:"):
        return uri, None
    path = unquote(urlsplit(uri).path) if uri.startswith("file:") else uri
    folder = Path(path).resolve()
    return folder.as_uri(), folder


def _spool() -> tuple[str, Path | None]:
    """The spool for runs that could not be logged, and the folder to mount where it is local."""
    if not tracking_is_on():
        return "", None
    uri = spool_uri()
    if "://" in uri:
        return uri, None
    folder = Path(uri).resolve()
    return str(folder), folder


def _read_folders(ingest: Mapping[str, Any]) -> list[Path]:
    """What ingest may read: the two places that DVC watches, and files pinned elsewhere."""
    watched = [Path(ingest[name]).absolute() for name in ("local_corpus", "local_encoder")]
    return [path for path in [*watched, *_pinned(ingest)] if path.exists()]


def _pinned(ingest: Mapping[str, Any]) -> Iterator[Path]:
    """The files and folders that file:// URIs with a pin name."""
    for value in ingest.values():
        for uri in value if isinstance(value, list) else [value]:
            if isinstance(uri, str) and uri.startswith("file://"):
                yield path_and_pin(uri)[0]


def _mounts(read: Iterable[Path], written: Iterable[Path]) -> list[Mount]:
    """Bind mounts under the same path; what is also written is not read-only."""
    modes = {str(path): True for path in read} | {str(path): False for path in written}
    return [
        Mount(path, str(Path(path).resolve()), type="bind", read_only=read_only)
        for path, read_only in modes.items()
    ]


def _make(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"the folder {folder} cannot be created: {error.strerror}", code="path-unwritable"
            ) from None


@contextmanager
def _patient_clients() -> Iterator[None]:
    """KFP opens its own clients, whose time-out is docker-py's default and cannot be set."""
    default = docker_client.DEFAULT_TIMEOUT_SECONDS
    docker_client.DEFAULT_TIMEOUT_SECONDS = PATIENCE_SECONDS
    try:
        yield
    finally:
        docker_client.DEFAULT_TIMEOUT_SECONDS = default


def _remove_containers(client: Any, run_id: str) -> None:
    """A run that was interrupted leaves its container running."""
    with suppress(DockerException, RequestException):
        for container in client.containers.list(
            all=True, filters={"label": f"{RUN_LABEL}={run_id}"}
        ):
            with suppress(APIError):  # it is being removed already
                container.remove(force=True)


def _remove_lost_containers(client: Any) -> None:
    """Those of a `decant run` that was killed: a container does not see that it is gone."""
    with suppress(DockerException, RequestException):
        for container in client.containers.list(all=True, filters={"label": PROCESS_LABEL}):
            process = read_tag(container.labels[PROCESS_LABEL])
            if process and process.is_here and not process.is_alive:
                with suppress(APIError):
                    container.remove(force=True)


def _explained(error: Exception) -> str:
    """The daemon's message, or the last line of a container's output."""
    if isinstance(error, ContainerError):
        stderr = error.stderr or b""
        text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else str(stderr)
        lines = text.strip().splitlines() or [f"it ended with code {error.exit_status}"]
        return without_secrets(lines[-1])
    return without_secrets(str(getattr(error, "explanation", None) or error))
