"""The entries of a run, prepared once: the same run and versions are not prepared again."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.peers.entries import ENTRIES
from benchmarks.peers.peer import Run
from decant.runtime.cache_folder import is_intact, write_once
from decant.runtime.errors import UserError
from decant.runtime.identity import canonical_json, content_digest, file_digest, text_digest
from decant.runtime.reporter import Reporter

_HERE = Path(__file__).parent
_MAKERS = ("exported", "fasttext_peer", "model2vec", "plain_graph", "tfidf", "two_layers")
_LIBRARIES = ("torch", "onnx", "onnxruntime", "scikit-learn", "model2vec", "skl2onnx")
_READ = ("corpus", "encoder", "tokens", "teacher", "onnx")


def prepare(
    names: Sequence[str], run: Run, cache: Path, reporter: Reporter
) -> tuple[dict[str, Path], dict[str, str]]:
    """Folders by entry, and for those that this installation or run cannot have the reason."""
    key = _key(run)
    folders: dict[str, Path] = {}
    skipped: dict[str, str] = {}
    for name in names:
        entry = ENTRIES[name]
        if entry.missing:
            skipped[name] = (
                f"the package {', '.join(entry.missing)} is not installed "
                "(pip install -r requirements-peers.lock)"
            )
        elif not (run.folder / "onnx" / entry.exported).is_dir():
            skipped[name] = "export_onnx of this run has no such form"
        else:
            folders[name] = cache / key / name
            if not is_intact(folders[name]):
                with reporter.activity(f"preparing {entry.title}"):
                    peer = entry.load()
                    write_once(folders[name], lambda folder, peer=peer: peer.prepare(run, folder))  # type: ignore[misc]
    return folders, skipped


def folder_bytes(folder: Path) -> int:
    """Of all files."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def require_run(folder: Path) -> None:
    """Raises UserError for a folder that is not a run's."""
    missing = [name for name in ("corpus", "onnx") if not (folder / name).is_dir()]
    if missing:
        raise UserError(
            f"{folder} has no {' and no '.join(missing)}",
            code="artifact-missing",
            hint="give --run the folder with the artifacts of a finished run, such as artifacts/",
        )


def _key(run: Run) -> str:
    parts = {
        "run": [content_digest(run.folder / one) for one in _READ if (run.folder / one).is_dir()],
        "settings": [list(run.c_grid), run.seed, run.finetune],
        "code": [file_digest(_HERE / f"{maker}.py") for maker in _MAKERS],
        "versions": [_version(library) for library in _LIBRARIES],
    }
    return text_digest(canonical_json(parts))[:16]


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
