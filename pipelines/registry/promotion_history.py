"""The append-only history of an alias: which version had it when, and why. It also decides races.

The history of a model is another registered model, NAME.promotions. Each of its versions is one
decision. The store numbers them one after the other, also for simultaneous requests; its tags never
change except for `done`. A decision has the number of the one before it. If another one came in
between, it does not count: so of two simultaneous promotions the first one wins, and the second one
gets an error. The alias follows from the decisions that count; after a crash between decision and
alias, the history shows what the alias should be.

Decisions survive their versions. The versions of NAME.promotions load as models too:
they are the models that were promoted, in their order.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from decant.runtime.errors import UserError
from pipelines.registry.versions import HISTORY_SUFFIX, version_with_alias

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_TAG = "decant.decision"
_DONE = "decant.done"
_VOID = "void"  # instead of "true"
_ON_VERSION = "decant.promotion."  # with the decision's number, on the version that was promoted
_MAX_TAG_CHARACTERS = 4900  # of MLflow's column

Action = Literal["promote", "rollback"]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """An entry of the history.

    Attributes:
        after: the number of the decision for this alias that was the last one that counted, 0
            without one.
        before, version: the version that had the alias before, None without one, and the new one.
        when: UTC, ISO 8601.
        commit: of the checkout that decided.
        model_commit: of the checkout that made the version.
        figures: of the decision.
        failed: the gate's reasons against it, overruled by force.
    """

    action: Action
    alias: str
    after: int
    before: str | None
    version: str
    who: str
    when: str
    reason: str
    forced: bool
    commit: str
    model_commit: str
    figures: Mapping[str, JsonValue]
    failed: Sequence[str]


@dataclass(frozen=True)
class Entry:
    """A decision with the number that the store gave it.

    Attributes:
        counts: no other decision came in between.
        done: the alias was moved, or cannot be moved.
        void: it cannot be moved: the version was deleted before.
    """

    number: int
    decision: Decision
    counts: bool
    done: bool
    void: bool = False


class LostRace(UserError):
    """Another decision came first."""


def read_history(client: "MlflowClient", name: str, alias: str) -> list[Entry]:
    """The decisions about an alias, the oldest first. Empty without a history."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.search_model_versions(f"name = '{name}{HISTORY_SUFFIX}'", max_results=10_000)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return []
        raise
    entries: list[Entry] = []
    last = 0
    for version in sorted(found, key=lambda version: int(version.version)):
        content = json.loads(version.tags[_TAG])
        if content["alias"] != alias:
            continue
        number, decision = int(version.version), Decision(**content)
        counts = decision.after == last
        last = number if counts else last
        done = version.tags.get(_DONE)
        entries.append(Entry(number, decision, counts, done is not None, done == _VOID))
    return entries


def promotions_in_effect(entries: Sequence[Entry]) -> list[Entry]:
    """The promotions in effect, the present one last; a rollback removes the last one."""
    held: list[Entry] = []
    for entry in entries:
        if not entry.counts or entry.void:
            continue
        if entry.decision.action == "promote":
            held.append(entry)
        else:
            version, taken_from = entry.decision.version, None
            while held and held[-1].decision.version != version and taken_from != version:
                taken_from = held.pop().decision.before
            if not held or held[-1].decision.version != version:
                held.append(entry)  # to a version that this history never promoted
    return held


def last_that_counts(entries: Sequence[Entry]) -> Entry | None:
    return next((entry for entry in reversed(entries) if entry.counts), None)


def decide(client: "MlflowClient", name: str, decision: Decision) -> Entry:
    """Append a decision and move the alias.

    Raises:
        LostRace: another decision came first; nothing was moved.
    """
    version = client.get_model_version(name, decision.version)
    _ensure_history(client, name)
    made = client.create_model_version(
        f"{name}{HISTORY_SUFFIX}",
        f"models:/{name}/{decision.version}",
        run_id=version.run_id,
        tags={_TAG: _as_tag(decision)},
        description=in_words(decision, name),
    )
    entries = read_history(client, name, decision.alias)
    own = next(entry for entry in entries if entry.number == int(made.version))
    if not own.counts:
        winner = last_that_counts(entries)
        assert winner is not None
        if _as_tag(winner.decision) == _as_tag(decision):
            # MLflow's client retried when an answer was lost: the first attempt counts.
            settle(client, name, decision.alias)
            return winner
        raise LostRace(
            f"nothing was moved: meanwhile {winner.decision.who} moved "
            f"{winner.decision.alias} to version {winner.decision.version}",
            code="decision-conflict",
            hint="look at it with `decant models`, then decide again",
        )
    settle(client, name, decision.alias)
    return own


def settle(client: "MlflowClient", name: str, alias: str) -> Entry | None:
    """Finish a decision whose alias was not moved; returns it, None without one.

    A decision for a version that was deleted in the meantime is void: the alias is not moved.

    After moving the alias the history is read again, so that of two processes at the same time the
    one with the older decision does not win.
    """
    finished: Entry | None = None
    moved = 0
    while True:
        last = last_that_counts(read_history(client, name, alias))
        if last is None or (last.done and moved in (0, last.number)):
            return finished
        is_moved = _move(client, name, last)
        done = "true" if is_moved else _VOID
        client.set_model_version_tag(f"{name}{HISTORY_SUFFIX}", str(last.number), _DONE, done)
        finished, moved = finished or replace(last, done=True, void=not is_moved), last.number


def moved_by_hand(
    client: "MlflowClient", name: str, alias: str
) -> tuple[str | None, str | None] | None:
    """(version by the history, present version) where the alias was moved by hand."""
    entries = read_history(client, name, alias)
    last = last_that_counts([entry for entry in entries if not entry.void])
    if last is None or not last.done:
        return None
    now = version_with_alias(client, name, alias)
    return None if now == last.decision.version else (last.decision.version, now)


def in_words(decision: Decision, name: str) -> str:
    """One sentence, for MLflow's page and the terminal."""
    instead = f" instead of version {decision.before}" if decision.before else ""
    verb = "made" if decision.action == "promote" else "rolled back:"
    forced = ", against the gate" if decision.forced else ""
    why = f": {decision.reason}" if decision.reason else ""
    return (
        f"{decision.when} {decision.who} {verb} version {decision.version} of {name} "
        f"{decision.alias}{instead}{forced}{why}"
    )


def _move(client: "MlflowClient", name: str, entry: Entry) -> bool:
    """Move the alias and note the decision on the version; False when the version was deleted."""
    from mlflow.exceptions import MlflowException

    version, tag = entry.decision.version, f"{_ON_VERSION}{entry.number}"
    try:
        client.set_registered_model_alias(name, entry.decision.alias, version)
        client.set_model_version_tag(name, version, tag, _as_tag(entry.decision))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True


def _ensure_history(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            f"{name}{HISTORY_SUFFIX}",
            description=f"Every decision about the aliases of {name}, one version each, "
            "written by `decant promote` and `rollback`. Do not delete versions.",
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _as_tag(decision: Decision) -> str:
    """JSON that fits; of too many words the reason and the gate's are cut."""
    content = {field: getattr(decision, field) for field in decision.__dataclass_fields__}
    content["failed"] = list(decision.failed)
    content["figures"] = dict(decision.figures)
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    if len(text) > _MAX_TAG_CHARACTERS:
        content |= {"failed": [], "figures": {}, "reason": decision.reason[:1000]}
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return text
