"""Unpacking with a limit: some kilobytes can hold what fills any disk."""

from pathlib import Path
from typing import IO

from decant.runtime.errors import UserError

# Text packs to a tenth, repetitive tables to a hundredth; a bomb to a thousandth and far less.
MOST_TIMES = 200
# Below this nobody is harmed.
FREE_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 20


def unpack(source: IO[bytes], target: Path, *, packed_bytes: int, name: str) -> None:
    """Write what the source gives into a new file.

    Args:
        packed_bytes: the size of what is unpacked.
        name: of that, for the message.

    Raises UserError for more than FREE_BYTES that are more than MOST_TIMES the packed size.
    """
    most = max(FREE_BYTES, MOST_TIMES * packed_bytes)
    written = 0
    with target.open("wb") as sink:
        while chunk := source.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > most:
                raise UserError(
                    f"{name} has {packed_bytes:,} bytes and unpacks to more than {most:,}: it may "
                    "be made to fill the disk",
                    code="unpacked-too-large",
                    hint="if it is what it should be, unpack it yourself and give the plain file",
                )
            sink.write(chunk)
