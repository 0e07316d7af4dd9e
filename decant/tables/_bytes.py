"""A file's bytes and text, unpacked where it is compressed."""

import bz2
import gzip
import lzma
import zlib
from pathlib import Path

import pyarrow as pa

from decant.runtime.errors import UserError

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zst")


def read_bytes(file: Path) -> bytes:
    """Raises UserError when a compressed file is damaged."""
    try:
        match file.suffix.lower():
            case ".gz":
                return gzip.decompress(file.read_bytes())
            case ".bz2":
                return bz2.decompress(file.read_bytes())
            case ".xz":
                return lzma.decompress(file.read_bytes())
            case ".zst":
                with pa.CompressedInputStream(pa.OSFile(str(file)), "zstd") as stream:
                    return bytes(stream.read())
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise UserError(f"{file.name} cannot be unpacked: {error}", code="file-invalid") from None
    return file.read_bytes()


def read_text(file: Path) -> str:
    """UTF-8 text with or without byte order mark.

    Raises UserError with the line of the first byte that is not UTF-8.
    """
    content = read_bytes(file)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        line = content.count(b"\n", 0, start) + 1
        raise UserError(
            f"{file.name}, line {line} (the first line of the file is 1): "
            f"byte 0x{content[start]:02x} is not UTF-8",
            code="encoding-not-utf8",
            hint="save the file as UTF-8",
        ) from None
