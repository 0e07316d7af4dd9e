"""Where data and encoders come from: a URI in, a local file or folder and its pin out.

Every file here is one kind of source. A module declares `SCHEMES` and two functions:

    fetch(uri) -> Path    a local file or folder; raises UserError
    pin(uri) -> str       the same pin means the same content; identities depend on it

A source that is not pinned by its URI is resolved once, and the result is kept in the cache (see
_cache.py). To resolve it again, remove it there or write the pin into the URI.
"""

from functools import cache
from pathlib import Path
from typing import Protocol, cast

from decant.runtime.errors import UserError
from decant.runtime.plugins import plugins
from decant.runtime.refused_secrets import refuse_secrets
from decant.runtime.secrets import without_secrets
from decant.sources._cache import NotCached, only_cached
from decant.sources._uri import scheme_of
from decant.sources.local import path_and_pin

__all__ = ["fetch", "fetch_cached", "is_local", "pin"]

# The plugin that declares this reads every scheme that no other plugin declares.
ANY_SCHEME = "*"


class Source(Protocol):
    """The interface of a module of this folder."""

    SCHEMES: tuple[str, ...]

    def fetch(self, uri: str) -> Path: ...

    def pin(self, uri: str) -> str: ...


def fetch(uri: str) -> Path:
    """The file or folder behind a URI, downloaded at most once.

    Raises:
        UserError: missing, unreachable, or different from its pin.
    """
    return _source(uri).fetch(uri)


def fetch_cached(uri: str) -> Path | None:
    """As `fetch`, but None instead of a download."""
    with only_cached():
        try:
            return fetch(uri)
        except NotCached:
            return None


def pin(uri: str) -> str:
    """A digest or revision that names the content.

    Downloads only what is neither pinned by its URI nor cached.

    Raises:
        UserError: as `fetch`.
    """
    return _source(uri).pin(uri)


def is_local(uri: str) -> bool:
    """Whether the URI names a file or folder of this machine, whose changes DVC must see.

    One that is pinned (`file:///a.csv#sha256=...`) cannot change unnoticed.
    """
    return scheme_of(uri) == "file" and not path_and_pin(uri)[1]


def _source(uri: str) -> Source:
    refuse_secrets(uri, "the source")
    scheme = scheme_of(uri)
    sources = _sources()
    if source := sources.get(scheme, sources.get(ANY_SCHEME)):
        return source
    raise UserError(
        f"no source for '{scheme}://' (in '{without_secrets(uri)}')",
        code="scheme-unknown",
        hint=f"schemes: {', '.join(sorted(sources))}",
    )


@cache
def _sources() -> dict[str, Source]:
    return {
        scheme: cast(Source, module)
        for module in plugins("decant.sources")
        for scheme in module.SCHEMES
    }
