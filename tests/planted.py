"""Planted secrets: a word that stands nowhere else, and a search for it in all that was written."""

import re
from base64 import b64encode
from pathlib import Path

WORD = "pl4nted"
# Everything that breaks a careless reading of an address.
PASSWORD = f"{WORD}/a@b:c#d"
LOGIN = b64encode(f"me:{PASSWORD}".encode()).decode()
_SPELLINGS = (WORD.encode(), LOGIN.encode(), b64encode(f"me:{WORD}".encode())[:12])


def leaks(folder: Path, *, besides: tuple[Path, ...] = ()) -> list[str]:
    """Files of the folder that have a planted secret in their bytes or their names.

    Args:
        besides: where the secrets are meant to be.
    """
    return [
        str(file.relative_to(folder))
        for file in sorted(folder.rglob("*"))
        if file not in besides
        and (is_leak(str(file.relative_to(folder))) or (file.is_file() and is_leak(file)))
    ]


def is_leak(written: Path | str) -> bool:
    """Whether a text, or a file's bytes, have a planted secret."""
    content = written.read_bytes() if isinstance(written, Path) else written.encode()
    return any(re.search(re.escape(one), content, re.IGNORECASE) for one in _SPELLINGS)
