"""What disks, kills and copies do to files."""

from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], None]


def cut_in_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_a_bit(file: Path) -> None:
    """The lowest one in the middle of the file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def empty(file: Path) -> None:
    file.write_bytes(b"")


DAMAGES: list[Damage] = [cut_in_half, flip_a_bit, empty, Path.unlink]
