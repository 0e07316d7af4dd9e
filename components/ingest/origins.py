"""The sources of a run by role: watched by DVC where they are local, and pinned."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from decant import sources
from decant.runtime.errors import UserError


@dataclass(frozen=True)
class Origin:
    """A source and its role.

    Attributes:
        role: source, validation, test, unlabelled.1 ..., encoder, encoder.1 ...
        watched: the path that DVC watches for local sources of this kind.
        watched_by: the parameter with that path.
    """

    role: str
    uri: str
    watched: str
    watched_by: str


def pins_of(origins: Sequence[Origin]) -> dict[str, str]:
    """The pin per role. Raises UserError for a source that is missing or not watched."""
    for origin in origins:
        _check_watched(origin)
    return {origin.role: sources.pin(origin.uri) for origin in origins}


def fetch_watched(origin: Origin) -> Path:
    """The local file or folder. Raises UserError for a source that is missing or not watched."""
    _check_watched(origin)
    return sources.fetch(origin.uri)


def _check_watched(origin: Origin) -> None:
    if not sources.is_local(origin.uri):
        return
    path, watched = sources.fetch(origin.uri).resolve(), Path(origin.watched).resolve()
    if not path.is_relative_to(watched):
        raise UserError(
            f"'{origin.uri}' is outside of '{origin.watched}', so DVC would not notice its changes",
            code="source-unwatched",
            hint=f"move it there, or set {origin.watched_by} to it or to its folder",
        )
