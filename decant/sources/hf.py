"""hf://ORG/NAME@REVISION: an encoder of the Hugging Face Hub; hf://datasets/...: a data file.

Of a model only its configuration, tokenizer and safetensors weights are downloaded. The client
finds access tokens itself (HF_TOKEN or `hf auth login`), and answers from its own cache where the
hub cannot be reached (HF_HUB_OFFLINE=1, or no network).
"""

import hashlib
import os
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

from decant.runtime.errors import UserError
from decant.runtime.identity import file_digest, text_digest
from decant.runtime.log_lines import log_line
from decant.runtime.retrying import retried
from decant.runtime.secrets import without_secrets
from decant.sources import remote
from decant.sources._cache import cached, content_of
from decant.sources._uri import path_part

SCHEMES = ("hf",)

_MODEL = re.compile(r"(?P<repo>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[^@]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FILES = [
    "config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    # SentencePiece's, as ALBERT, CamemBERT and XLM-R, DeBERTa-v2, RemBERT and others name it
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "sentencepiece.model",
    "tokenizer.model",
]
_OTHER_WEIGHTS = (".bin", ".h5", ".msgpack", ".ckpt", ".pt", ".onnx", ".safetensors")


def fetch(uri: str) -> Path:
    """A model's folder, or a data file."""
    if _is_dataset(uri):
        return remote.fetch(uri)
    repo, _ = _parse(uri)
    commit = pin(uri).removeprefix("commit:")
    name = repo.rpartition("/")[2]

    def fill(folder: Path) -> str:
        snapshot = _sound_snapshot(uri, repo, commit)
        if not _is_whole(snapshot, commit):
            raise _MaybePartial(snapshot)
        _refuse_without_safetensors(uri, repo, commit, snapshot)
        _put(_needed(snapshot), folder / name)
        return commit

    # An entry of other files is another one: an earlier version of this list had fewer.
    key = f"{repo.replace('/', '--')}-{commit}"
    chosen = text_digest(" ".join(_FILES))[:8]
    try:
        return content_of(cached("hf", f"{key}-{chosen}", fill))
    except _MaybePartial as partial:
        return _as_it_is_now(partial.snapshot, key, name, commit)


def pin(uri: str) -> str:
    """A model's commit (resolved once, then cached); the digest of a data file."""
    if _is_dataset(uri):
        return remote.pin(uri)
    repo, revision = _parse(uri)
    if _COMMIT.fullmatch(revision):
        return f"commit:{revision}"

    def fill(folder: Path) -> str:
        from huggingface_hub import HfApi

        try:
            found = retried(
                f"resolving {without_secrets(uri)}",
                lambda: HfApi().resolve_revision(repo, revision=revision or None),
            )
            return f"commit:{found.resolved}"
        except Exception as error:
            raise _failed(uri, error) from None

    return cached("hf-pins", text_digest(f"{repo}@{revision}")[:16], fill).pin


class _MaybePartial(Exception):
    """The hub's cache answered, and does not say which files the repository has."""

    def __init__(self, snapshot: Path) -> None:
        super().__init__(str(snapshot))
        self.snapshot = snapshot


def _sound_snapshot(uri: str, repo: str, commit: str) -> Path:
    """The snapshot in the hub's cache; files that were damaged there are fetched again.

    Raises UserError where they cannot be.
    """
    snapshot = _download(uri, repo, commit, _FILES)
    if damaged := _damaged(snapshot):
        shown = without_secrets(uri)
        log_line(f"damaged in the hub's cache: {', '.join(damaged)} of {shown}; fetched again")
        try:
            snapshot = _download(uri, repo, commit, damaged, again=True)
        except UserError as error:
            raise UserError(
                f"{', '.join(damaged)} of {shown} are damaged in the hub's cache: {error.problem}",
                code=error.code,
                hint=f"go online once, or remove {snapshot.parents[1]} and copy it here again",
            ) from None
        if still := _damaged(snapshot):
            raise UserError(
                f"{', '.join(still)} of {shown} are not the files that the hub names",
                code="sha256-mismatch",
                hint=f"remove {snapshot.parents[1]} and run again",
            )
    return snapshot


def _damaged(snapshot: Path) -> list[str]:
    """Files whose bytes are not those that the hub's cache has them under.

    It names a large file by its sha256 and a small one by its id in Git. (Where it cannot link, on
    Windows, the names say nothing.)
    """
    return [file.name for file in _needed(snapshot) if not _is_as_named(file.resolve())]


def _is_as_named(blob: Path) -> bool:
    if re.fullmatch(r"[0-9a-f]{64}", blob.name):
        return file_digest(blob) == blob.name
    if _COMMIT.fullmatch(blob.name):
        content = blob.read_bytes()
        head = f"blob {len(content)}\0".encode()
        return hashlib.sha1(head + content, usedforsecurity=False).hexdigest() == blob.name
    return True


def _download(uri: str, repo: str, commit: str, files: list[str], *, again: bool = False) -> Path:
    """`again`: also what is in the hub's cache."""
    from huggingface_hub import snapshot_download

    try:
        snapshot = retried(
            f"fetching {without_secrets(uri)}",
            lambda: snapshot_download(
                repo,
                revision=commit,
                allow_patterns=files,
                ignore_patterns=["*/*"],
                force_download=again,
            ),
        )
        return Path(snapshot)
    except Exception as error:
        raise _failed(uri, error) from None


def _is_whole(snapshot: Path, commit: str) -> bool:
    """Where the client has the list of the files, it gives all of them or an error."""
    return (snapshot.parents[1] / "trees" / f"{commit}.json").is_file()


def _as_it_is_now(snapshot: Path, key: str, name: str, commit: str) -> Path:
    """An entry of what the hub's cache has today: another one when it has more."""
    files = _needed(snapshot)

    def fill(folder: Path) -> str:
        _put(files, folder / name)
        return commit

    present = text_digest(" ".join(f"{file.name}:{file.stat().st_size}" for file in files))[:8]
    return content_of(cached("hf-partial", f"{key}-{present}", fill))


def _needed(snapshot: Path) -> list[Path]:
    """Without what other programs fetched into the same snapshot."""
    return [
        file
        for file in sorted(snapshot.iterdir())
        if file.is_file() and any(fnmatch(file.name, pattern) for pattern in _FILES)
    ]


def _put(files: list[Path], folder: Path) -> None:
    folder.mkdir()
    for file in files:
        _link(str(file), str(folder / file.name))


def _refuse_without_safetensors(uri: str, repo: str, commit: str, snapshot: Path) -> None:
    """Raises UserError, with the weights that the repository has instead."""
    from huggingface_hub import HfApi

    if any(snapshot.glob("model*.safetensors")):
        return
    try:
        names = retried(
            f"listing {without_secrets(uri)}",
            lambda: HfApi().list_repo_files(repo, revision=commit),
        )
    except Exception as error:
        raise _failed(uri, error) from None
    weights = [name for name in names if name.endswith(_OTHER_WEIGHTS) and "/" not in name]
    others = [name for name in weights if name != "training_args.bin"]  # settings
    found = f"only {', '.join(others)}" if others else "none"
    raise UserError(
        f"{without_secrets(uri)} has no safetensors weights; weights found: {found}",
        code="encoder-weights-missing",
        hint="name a revision that has safetensors, as the hub's conversion bot proposes them "
        "(@refs/pr/NUMBER), or save the model with save_pretrained(folder) and give the folder",
    )


def _is_dataset(uri: str) -> bool:
    return path_part(uri).startswith("datasets/")


def _parse(uri: str) -> tuple[str, str]:
    match = _MODEL.fullmatch(path_part(uri).rstrip("/"))
    if not match:
        raise UserError(
            f"'{without_secrets(uri)}' does not name a model",
            code="uri-invalid",
            hint="write hf://ORG/NAME or hf://ORG/NAME@REVISION; hf://datasets/... for data",
        )
    return match["repo"], match["revision"] or ""


def _link(source: str, target: str) -> None:
    """Share the bytes with the client's own cache where the file system can."""
    real = os.path.realpath(source)
    try:
        os.link(real, target)
    except OSError:
        shutil.copyfile(real, target)


def _failed(uri: str, error: Exception) -> UserError:
    from huggingface_hub.errors import (
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RevisionResolutionError,
    )

    if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled | RevisionResolutionError):
        return UserError(
            f"{without_secrets(uri)} is not in the hub's cache on this machine, and the hub cannot "
            f"be reached: {_reason(error)}",
            code="source-unreachable",
            hint="go online once, or copy the hub's cache here (HF_HOME)",
        )
    first = without_secrets(str(error)).strip().partition("\n")[0]
    return UserError(
        f"{without_secrets(uri)} cannot be fetched: {type(error).__name__}: {first}",
        code="source-unreachable",
        hint="check the name, the revision, the network, and HF_TOKEN for a gated model",
    )


def _reason(error: Exception) -> str:
    from huggingface_hub import constants

    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set"
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    first = without_secrets(str(cause)).strip().partition("\n")[0]
    return f"{type(cause).__name__}: {first}"
