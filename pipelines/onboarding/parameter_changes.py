"""The parameters that follow from what was found, each with its reason."""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decant import sources
from decant.runtime.errors import UserError
from decant.tasks.task import CLASSES
from pipelines.onboarding.column_choice import Columns
from pipelines.onboarding.data_files import DataFile, DataFiles
from pipelines.onboarding.label_values import Labels
from pipelines.onboarding.text_facts import TextFacts


@dataclass(frozen=True, kw_only=True)
class Change:
    """A parameter, by its dotted path, with the value that fits the data and the reason."""

    path: str
    value: Any
    reason: str


def data_parameters(
    data: DataFiles,
    chosen: Columns,
    labels: Labels,
    present: Mapping[str, Any],
    root: Path,
    targets: Sequence[Change] = (),
) -> list[Change]:
    """Every parameter of ingest that depends on the data: no value of other data is left.

    Args:
        targets: in place of the parameters of one column of classes.
    """
    marks = [f"'{value}'" if value else "an empty label" for value in labels.unlabelled]
    watched, why = _watched(data, present["local_corpus"], root)
    classes = f"{len(labels.counts)} classes: {_listed(labels.counts)}"
    values: list[tuple[str, Any, str]] = [
        ("source", _placed(data.source.uri, root), data.how),
        ("validation", _uri(data.validation, root), _given_reason(data.validation)),
        ("test", _uri(data.test, root), _given_reason(data.test)),
        (
            "unlabelled",
            [_placed(one.uri, root) for one in data.unlabelled],
            "texts without labels, for distillation" if data.unlabelled else "no such file",
        ),
        ("format", data.format_parameter(), "what the files' names do not imply"),
        ("local_corpus", watched, why),
        ("text_column", chosen.text.name, chosen.text.reason),
        ("label_column", chosen.label.name, f"{chosen.label.reason}; {classes}"),
        ("task", CLASSES, "a class per row"),
        ("metric", None, "the kind's first"),
        ("targets", [], "one target"),
        ("group_by", chosen.group.name, chosen.group.reason),
        (
            "labels",
            labels.listed,
            _left_out_reason(labels) if labels.listed else "all that are found",
        ),
        (
            "unlabelled_labels",
            list(labels.unlabelled),
            f"{' and '.join(marks)}: text without a label" if marks else "every label counts",
        ),
        ("label_budget", None, "all labels are used"),
    ]
    changes = [Change(path=f"ingest.{key}", value=value, reason=why) for key, value, why in values]
    if not targets:
        return changes
    of_classes = {
        f"ingest.{key}" for key in ("label_column", "labels", "task", "metric", "targets")
    }
    at = [change.path for change in changes].index("ingest.label_column")
    others = [one for one in changes[at:] if one.path not in of_classes]
    return [*changes[:at], *targets, *others]


def length_parameter(facts: TextFacts, given: int | None) -> list[Change]:
    length = given or facts.proposal
    if length is None:
        return []
    about = "" if facts.exact else "about "
    reason = f"{about}{facts.cut:.0%} of the texts are longer than {facts.limit} tokens"
    return [Change(path="tokenize.max_length_tokens", value=length, reason=reason)]


def changed_section(
    present: Mapping[str, Any], changes: Sequence[Change], name: str
) -> dict[str, Any]:
    """The section with the changes in it."""
    section = copy.deepcopy(dict(present[name]))
    for change in changes:
        first, *parents, key = change.path.split(".")
        if first == name:
            place = section
            for parent in parents:
                place = place[parent]
            place[key] = change.value
    return section


def value_at(params: Mapping[str, Any], path: str) -> Any:
    """The present value of a dotted path."""
    value: Any = params
    for part in path.split("."):
        value = value[part]
    return value


def _watched(data: DataFiles, present: str, root: Path) -> tuple[str, str]:
    """What DVC watches: the present folder where it has all local files, else the data's own."""
    local = [_absolute(one.uri) for one in data.all() if sources.is_local(one.uri)]
    folder = (root / present).resolve()
    if all(path.resolve().is_relative_to(folder) for path in local):
        return present, "holds the data"
    if len(local) == 1:
        return _relative(local[0], root), "what DVC watches for changes"
    common = local[0].parent
    while not all(path.is_relative_to(common) for path in local):
        common = common.parent
    if common == common.parent:
        raise UserError(
            "the files have no folder in common: " + ", ".join(map(str, local)),
            code="folder-common",
            hint="put them into one folder, which DVC watches",
        )
    return _relative(common, root), "the folder that DVC watches for changes"


def _uri(data: DataFile | None, root: Path) -> str | None:
    return _placed(data.uri, root) if data else None


def _placed(uri: str, root: Path) -> str:
    """A path below the root is written relative to it; another one in full."""
    return _relative(_absolute(uri), root) if "://" not in uri else uri


def _absolute(uri: str) -> Path:
    """As it is named: a link is not followed, since what it points to is another place."""
    return Path(os.path.abspath(sources.fetch(uri)))  # noqa: PTH100  resolve() follows links


def _relative(path: Path, root: Path) -> str:
    for folder in (Path(os.path.abspath(root)), root.resolve()):  # noqa: PTH100
        if path.is_relative_to(folder):
            return str(path.relative_to(folder))
    return str(path)


def _given_reason(data: DataFile | None) -> str:
    return "given, used unchanged" if data else "split off the training data"


def _left_out_reason(labels: Labels) -> str:
    """Up to two of the labels that are left out, with their reasons."""
    if not labels.left_out:
        return "the classes as given"
    shown = [f"'{value}' ({why})" for value, why in list(labels.left_out.items())[:2]]
    more = len(labels.left_out) - len(shown)
    return f"without {', '.join(shown)}" + (f" and {more} more" if more else "")


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{value} {count:,}" for value, count in list(counts.items())[:4]]
    return ", ".join(shown) + (", ..." if len(counts) > len(shown) else "")
