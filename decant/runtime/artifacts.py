"""Artifact folders: written whole or not at all, and describing themselves.

<port>/
  ...            the step's own files
  card.json      content: step, port, parameters, input digests, metrics, identity, versions, the
                 sha256 of every other file, and of its own entries
  sidecar.json   not content: run ids, start, duration, host, measured times
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from decant.runtime.errors import UserError
from decant.runtime.identity import SIDECAR, canonical_json, text_digest
from decant.runtime.litter import mark
from decant.runtime.publishing import publish_together, tidy_up

CARD = "card.json"
_DIGEST = "digest"
_ITS_STEP = "the step that writes it"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Card:
    """The deterministic description of an artifact.

    Attributes:
        varying: the port has measured times, so no identity depends on its content.
        inputs: content digests of what the step read, by port; of sources their pins.
        lineage: content digests of all artifacts behind it, by port; empty in old cards.
        files: sha256 of every other file of the artifact, by its path there; empty in old cards.
        threads: by library, with which it was computed, where that counts; empty in old cards.
    """

    step: str
    port: str
    identity: str
    varying: bool
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    metrics: Mapping[str, float]
    versions: Mapping[str, str]
    lineage: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    threads: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """What one run records of itself. `step_runs`: the run of each step behind this artifact."""

    run_id: str = ""
    step_runs: Mapping[str, str]
    started: str
    seconds: float
    host: str
    measures: Mapping[str, float]


def write_card(folder: Path, card: Card) -> None:
    """Write the card with the digest of its own entries."""
    entries = asdict(card)
    write_json(folder / CARD, {**entries, _DIGEST: text_digest(canonical_json(entries))})


def read_card(folder: Path, made_by: str = _ITS_STEP) -> Card:
    """Raises UserError when the folder is not an artifact, or the card is damaged.

    Args:
        made_by: the step that writes the artifact, for the message.
    """
    file = folder / CARD
    if not file.is_file():
        raise UserError(
            f"{folder} is not an artifact of Decant: it has no {CARD}",
            code="artifact-missing",
            hint=f"run {made_by} first (`dvc repro` runs the steps in order)",
        )
    entries = _entries(file, made_by)
    written = entries.pop(_DIGEST, None)
    try:
        found = text_digest(canonical_json(entries))
    except (ValueError, RecursionError):  # such as numbers without end, which no card has
        raise _outdated(file, made_by) from None
    if written not in (None, found):
        raise UserError(
            f"{file} is damaged: its entries are not those that {made_by} wrote",
            code="artifact-damaged",
            hint=f"run {made_by} again",
        )
    return _made(Card, entries, file, made_by)


def read_sidecar(folder: Path) -> Sidecar | None:
    """None where the artifact came back from DVC's cache, which keeps content only."""
    file = folder / SIDECAR
    return _made(Sidecar, _entries(file), file) if file.is_file() else None


def check_targets(targets: Mapping[str, Path], sources: Mapping[str, Path]) -> None:
    """Refuse to write where something else would be lost.

    Raises UserError for a target that is a file or a folder other than an artifact, and for one
    that is, contains or is inside of an input or another output.
    """
    for port, target in targets.items():
        if target.is_file() or (
            target.is_dir() and any(target.iterdir()) and not (target / CARD).is_file()
        ):
            raise UserError(
                f"--{port} {target} exists and is not an artifact of Decant; it would be lost",
                code="output-taken",
                hint="name a new folder",
            )
        others = {**sources, **{name: path for name, path in targets.items() if name != port}}
        for name, other in others.items():
            one, two = target.resolve(), other.resolve()
            if one == two or one in two.parents or two in one.parents:
                raise UserError(
                    f"--{port} {target} and --{name} {other} overlap",
                    code="port-overlap",
                    hint="give every port its own folder",
                )


def read_json(file: Path) -> Any:
    """The content of a JSON file in UTF-8. Raises ValueError for another one."""
    try:
        return json.loads(file.read_text("utf-8"))
    except RecursionError:
        raise ValueError(f"{file} is nested too deeply") from None


def write_json(file: Path, value: object) -> None:
    """Readable, deterministic JSON: sorted keys, two spaces, a last newline."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    file.write_text(text + "\n", "utf-8")


@contextmanager
def written_whole(targets: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Temporary folders beside the targets, renamed onto them when the block ends without error.

    An error leaves the targets as they were and no temporary folder behind. What a killed process
    has left beside them is removed first.

    Raises UserError when a target cannot be created.
    """
    partial = {
        port: target.parent / f".{target.name}.partial-{mark()}" for port, target in targets.items()
    }
    tidy_up(targets.values())
    try:
        for folder in partial.values():
            shutil.rmtree(folder, ignore_errors=True)
            try:
                folder.mkdir(parents=True)
            except OSError as error:
                raise UserError(
                    f"cannot write in {folder.parent}: {error.strerror}", code="path-unwritable"
                ) from None
        try:
            yield partial
            publish_together({partial[port]: target for port, target in targets.items()})
        except Exception as error:
            error.add_note(f"while {', '.join(map(str, targets.values()))} was to be written")
            raise
    finally:
        for folder in partial.values():
            shutil.rmtree(folder, ignore_errors=True)


def _entries(file: Path, made_by: str = _ITS_STEP) -> dict[str, Any]:
    try:
        return dict(read_json(file))
    except (TypeError, ValueError):
        raise _outdated(file, made_by) from None


def _made(kind: type[T], entries: Mapping[str, Any], file: Path, made_by: str = _ITS_STEP) -> T:
    mappings = {name for name, hint in get_type_hints(kind).items() if get_origin(hint) is Mapping}
    if any(isinstance(value, dict) != (name in mappings) for name, value in entries.items()):
        raise _outdated(file, made_by)
    try:
        return kind(**entries)
    except TypeError:
        raise _outdated(file, made_by) from None


def _outdated(file: Path, made_by: str) -> UserError:
    return UserError(
        f"{file} was written by another version of Decant, or is damaged",
        code="artifact-outdated",
        hint=f"run {made_by} again",
    )
