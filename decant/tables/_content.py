"""What a file is, by its bytes: a plain table of ours, unpacked and checked, or something else.

A name promises nothing: an archive may be called `.csv`, and the answer of a login page may be what
was downloaded.
"""

import bz2
import codecs
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa

from decant.runtime.errors import UserError
from decant.runtime.placeholder_files import refuse_placeholder
from decant.runtime.system_errors import as_user_error
from decant.runtime.unpacking import unpack
from decant.tables._engine import Engine

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 4096
_MOST_PACKINGS = 2

_PARQUET = b"PAR1"
_PACKED: tuple[tuple[bytes, str, Callable[[Path], Any]], ...] = (
    (b"\x1f\x8b", "gzip", gzip.open),
    (b"BZh", "bzip2", bz2.open),
    (b"\xfd7zXZ\x00", "xz", lzma.open),
    (
        b"\x28\xb5\x2f\xfd",
        "zstd",
        lambda file: pa.CompressedInputStream(pa.OSFile(str(file)), "zstd"),
    ),
)
# Beginnings of files that are not text, what they are, and what to do.
_BINARY = (
    (b"PK\x05\x06", "an empty zip archive", "give a file with rows"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it, and give the file in it"),
    (b"Rar!", "a RAR archive", "unpack it, and give the file in it"),
    (b"\xd0\xcf\x11\xe0", "an old Office file", "save the sheet as CSV"),
    (b"\x89PNG", "a PNG picture", "give a table of texts"),
    (b"\xff\xd8\xff", "a JPEG picture", "give a table of texts"),
    (b"GIF8", "a GIF picture", "give a table of texts"),
    (b"%PDF-", "a PDF document", "give a table of texts"),
    (b"SQLite format 3\x00", "an SQLite database", "export the table as CSV"),
    (b"ARROW1", "an Arrow file", "save it as Parquet"),
    (b"\x89HDF", "an HDF5 file", "save the table as Parquet"),
    (b"\x80\x04\x95", "a Python pickle, which can run code", "save the table as Parquet"),
    (b"\x93NUMPY", "a NumPy array", "save the table as Parquet"),
    (b"Obj\x01", "an Avro file", "save the table as Parquet"),
    (b"ORC", "an ORC file", "save the table as Parquet"),
    (b"\xff\xfe\x00\x00", "text in UTF-32", "save it as UTF-8"),
    (b"\xff\xfe", "text in UTF-16", "save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "save it as UTF-8"),
)
_ZIP = b"PK\x03\x04"
_TAR = slice(257, 262)


@dataclass(frozen=True, kw_only=True)
class PlainFile:
    """A file that can be read as it is.

    Attributes:
        name: the user's, for messages; `path` may be an unpacked copy.
        is_parquet: else it is text in UTF-8.
        notes: what the name does not say, in words.
    """

    path: Path
    name: str
    is_parquet: bool = False
    notes: tuple[str, ...] = ()

    def head(self, characters: int = 1 << 20) -> str:
        """The beginning of a text, without a byte order mark."""
        with self.path.open(encoding="utf-8-sig", newline="") as stream:
            return stream.read(characters)

    def begins_with_object(self) -> bool:
        """Whether its first line that is not blank is a JSON object, or begins an array of them."""
        head = self.head()
        if re.match(r"\s*\[\s*\{\s*\"", head):
            return True
        first = next((line for line in head.split("\n") if line.strip()), "")
        if not first.lstrip().startswith("{"):
            return False
        try:
            return isinstance(json.loads(first), dict)
        except (ValueError, RecursionError):
            return False


def plain_file(file: Path, engine: Engine) -> PlainFile:
    """The file, or its unpacked copy in the engine's folder.

    Raises UserError for a file that is empty, damaged, not a table, or not UTF-8 (with the line).
    """
    if file.exists() and not file.is_file():
        raise UserError(
            f"{file.name} is not a regular file", code="file-invalid", hint="give a file with rows"
        )
    try:
        path, notes = _unpacked(file, engine.folder)
        for _ in range(_MOST_PACKINGS):  # a packed file that was packed once more
            path, more = _unpacked(path, engine.folder, shown=file)
            notes = (*notes, *more)
        path = engine.readable(path)
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
        if not head:
            raise UserError(
                f"{file.name} is empty", code="file-empty", hint="give a file with rows"
            )
        if head.startswith(_PARQUET):
            return PlainFile(path=path, name=file.name, is_parquet=True, notes=notes)
        _refuse_binary(file.name, head)
        refuse_placeholder(path, file.name)
        _check_utf8(path, file.name)
    except OSError as error:
        raise as_user_error(error) or UserError(
            f"{file.name} cannot be read: {error.strerror or error}", code="file-unreadable"
        ) from None
    return PlainFile(path=path, name=file.name, notes=notes)


def _unpacked(file: Path, folder: Path, shown: Path | None = None) -> tuple[Path, tuple[str, ...]]:
    with file.open("rb") as stream:
        head = stream.read(8)
    named = file.suffix.lower() in COMPRESSIONS and shown is None
    name = (shown or file).name
    packed = next((one for one in _PACKED if head.startswith(one[0])), None)
    if packed is None:
        note = f"{name} is not packed, though its name ends in {file.suffix}"
        return file, (note,) if named else ()
    _, how, open_packed = packed
    target = folder / f"unpacked_{sum(1 for _ in folder.glob('unpacked_*'))}"
    try:
        with open_packed(file) as source:
            packed_bytes = (shown or file).stat().st_size
            unpack(source, target, packed_bytes=packed_bytes, name=name)
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, pa.ArrowException) as error:
        if getattr(error, "errno", None):  # the disk, not the content
            raise
        raise UserError(
            f"{name} cannot be unpacked, {how} has: {str(error) or type(error).__name__}",
            code="file-invalid",
            hint="it is cut off or damaged: fetch it again",
        ) from None
    return target, () if named else (f"{name} is packed with {how}, and was unpacked",)


def _refuse_binary(name: str, head: bytes) -> None:
    def refusal(what: str, hint: str) -> UserError:
        return UserError(f"{name} is {what}, not a table", code="file-not-table", hint=hint)

    if head.startswith(_ZIP):
        if b"xl/" in head or b"[Content_Types].xml" in head:
            raise refusal("an Excel workbook", "save the sheet as CSV")
        raise refusal("a zip archive", "unpack it, and give the file in it")
    for beginning, what, hint in _BINARY:
        if head.startswith(beginning):
            raise refusal(what, hint)
    if head[_TAR] == b"ustar":
        raise refusal("a tar archive", "unpack it, and give the file in it")
    zeros = head.count(b"\x00")
    if zeros > len(head) // 4:
        raise refusal("text in UTF-16 or binary", "save it as UTF-8")
    if zeros > len(head) // 50:
        raise refusal("binary: it has zero bytes", "give CSV, TSV, JSON lines or Parquet")


def _check_utf8(path: Path, name: str) -> None:
    """The engine checks it as well, but says less of the place."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    line, blank = 1, True
    with path.open("rb") as stream:
        while chunk := _next(stream):
            try:
                text = decoder.decode(chunk)
            except UnicodeDecodeError as error:
                line += error.object.count(b"\n", 0, error.start)
                raise _not_utf8(name, line, error.object[error.start]) from None
            line += chunk.count(b"\n")
            blank = blank and not text.removeprefix("\ufeff").strip()
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_utf8(name, line, error.object[error.start]) from None
    if blank:
        raise UserError(
            f"{name} has only white space", code="file-empty", hint="give a file with rows"
        )


def _next(stream: BinaryIO) -> bytes:
    return stream.read(_CHUNK_BYTES)


def _not_utf8(name: str, line: int, byte: int) -> UserError:
    return UserError(
        f"{name}, line {line} (the first line of the file is 1): byte 0x{byte:02x} is not UTF-8",
        code="encoding-not-utf8",
        hint="save the file as UTF-8, or convert it with `iconv -f ENCODING -t utf-8` from its own",
    )
