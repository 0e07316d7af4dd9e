"""Whether the files of an exported folder are those that its manifest names.

The manifest has `files`, the sha256 of graph and tokenizer, and `digest`, that of its own entries.
A folder from before there were digests has none, and is not checked.

A graph holds its weights itself: of those in another file no digest would tell.
"""

import hashlib
import json
import mmap
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GRAPH, TOKENIZER, MANIFEST = "model.onnx", "tokenizer.json", "manifest.json"
FILES, DIGEST = "files", "digest"

# Where ONNX writes that a tensor's numbers lie in another file: field 13 of it, `location`.
_EXTERNAL = re.compile(rb"\x6a.{1,2}\x0a\x08location\x12", re.DOTALL)
_HINT = "copy the folder again from where it came, or make it again with export_onnx"


class DamagedModel(ValueError):
    """A file of an exported folder is another one than its manifest names.

    Attributes:
        problem: the file, the digest that was found and the one that was expected.
        hint: what to do.
    """

    def __init__(self, problem: str, hint: str = _HINT) -> None:
        super().__init__(f"{problem}; {hint}")
        self.problem, self.hint = problem, hint


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """sha256 of all entries but the digest itself, in hexadecimal."""
    entries = {key: value for key, value in manifest.items() if key != DIGEST}
    text = json.dumps(entries, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Read graph and tokenizer whole, and compare.

    Raises DamagedModel for one that differs, and for a graph with weights in another file.
    """
    _refuse_external(folder / GRAPH)
    if DIGEST in manifest:
        _compare(folder / MANIFEST, manifest[DIGEST], manifest_digest(manifest))
    if FILES not in manifest:
        return
    named = manifest[FILES]
    for name in (GRAPH, TOKENIZER):  # whatever else it names is not read
        expected = named.get(name) if isinstance(named, Mapping) else None
        with (folder / name).open("rb") as stream:
            _compare(folder / name, expected, hashlib.file_digest(stream, "sha256").hexdigest())


@contextmanager
def checked_files(folder: Path, manifest: Mapping[str, Any]) -> Iterator[None]:
    """As `check_files`, on another thread while the block opens them.

    Raises DamagedModel at the end of the block, or in place of what the block raises.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        check = pool.submit(check_files, folder, manifest)
        try:
            yield
        except Exception:
            check.result()  # says more than a library does of a damaged file
            raise
        check.result()


def _refuse_external(graph: Path) -> None:
    with graph.open("rb") as stream:
        if not (size := graph.stat().st_size):
            return
        with mmap.mmap(stream.fileno(), size, access=mmap.ACCESS_READ) as content:
            if _EXTERNAL.search(content):
                raise DamagedModel(
                    f"{graph} has weights in another file, which nothing here reads",
                    "save the graph with its weights inside: onnx.save_model(model, file)",
                )


def _compare(file: Path, expected: object, found: str) -> None:
    if found != expected:
        raise DamagedModel(
            f"{file} is damaged, or of another model: its sha256 is {found}, the manifest names "
            f"{str(expected)[:64]}"
        )
