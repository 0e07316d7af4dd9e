"""Where downloads and computed values are kept between runs."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """DECANT_CACHE, or the user's cache folder."""
    return Path(os.environ.get("DECANT_CACHE") or platformdirs.user_cache_dir("decant"))


def write_once(file: Path, write: Callable[[Path], None]) -> None:
    """Have `write` fill a temporary file beside `file`, then rename it: whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{uuid.uuid4().hex}.{file.name}")  # pods share process numbers
    try:
        write(partial)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
