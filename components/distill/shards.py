"""Token rows in the cache, made once and memory-mapped, so that memory stays flat."""

import hashlib
from collections.abc import Callable

from components.shared.cache import cache_folder, write_once
from components.shared.identity import lock_digest, module_digest, text_digest
from components.shared.tokens import TokenRows


def cached_rows(recipe: str, maker: str, make: Callable[[], TokenRows]) -> TokenRows:
    """What `make` gives, from the cache where it is there.

    Args:
        recipe: all that decides the rows, beside the code and the libraries.
        maker: the module whose code makes them.
    """
    name = text_digest(f"{recipe} lock={lock_digest()} code={module_digest(maker)}")
    file = cache_folder() / "rows" / f"{name}.arrow"
    if not file.is_file():
        write_once(file, make().write)
    return TokenRows.map(file)


def rows_digest(rows: TokenRows) -> str:
    """sha256 of the lengths and the token ids."""
    digest = hashlib.sha256(rows.lengths.astype("<i4").tobytes())
    for row in rows:
        digest.update(row.astype("<i4").tobytes())
    return digest.hexdigest()
