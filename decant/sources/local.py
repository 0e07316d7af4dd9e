"""A file or folder of this machine: a plain path or file://; relative to the current folder."""

from pathlib import Path

from decant.runtime.errors import UserError
from decant.runtime.identity import content_digest
from decant.sources._uri import check_sha256, path_part, scheme_of, split_sha256

SCHEMES = ("file",)


def fetch(uri: str) -> Path:
    """The path itself. A `#sha256=` fragment is checked on file:// URIs."""
    path, expected = _path(uri)
    if not path.exists():
        raise UserError(
            f"no file or folder at '{path}'",
            code="file-missing",
            hint=f"paths are relative to the current folder, which is {Path.cwd()}",
        )
    if expected:
        check_sha256(uri, expected, content_digest(path))
    return path


def pin(uri: str) -> str:
    """The digest of the content."""
    return f"sha256:{content_digest(fetch(uri))}"


def _path(uri: str) -> tuple[Path, str]:
    if "://" not in uri:  # a plain path may hold any character, also '#'
        return Path(uri).expanduser(), ""
    address, expected = split_sha256(uri)
    assert scheme_of(address) == "file"
    return Path(path_part(address)), expected
