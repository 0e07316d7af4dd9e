"""The targets as the parameters declare them, before the data is read.

A kind's declared.py has

    checked(target)   the Declared with what its options say of its name, columns and labels; raises
                      UserError where parameters of the target exclude each other

Nothing here or there imports more than pydantic: parameters are checked where no data is read.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from decant.runtime.errors import UserError
from decant.runtime.settings import parse, settings
from decant.runtime.settings_errors import unknown_key
from decant.tasks.kinds import part
from decant.tasks.spec import metrics, option_names, typed_options
from decant.tasks.task import Target

ONLY = "label"  # the column of the only target
_DEFAULTS: dict[str, Any] = {"column": None, "weight": 1.0, "metric": None, "labels": None}


@settings
class _Fields:
    """What every entry of `ingest.targets` has; params.yaml shows the defaults."""

    name: Annotated[str, Field(pattern=r"^[\w-]+$")]
    kind: str
    column: Annotated[str, Field(min_length=1)] | None
    weight: Annotated[float, Field(gt=0, le=1000)]
    metric: str | None
    labels: Annotated[list[str], Field(min_length=2)] | None


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A target, and what is known of it while its data is read.

    Attributes:
        name, kind, metric, weight: as a Target has them.
        columns: of the source, which hold its labels.
        labels: those listed, in their order; None: all that are found.
        options: of the kind, its spec.Options.
        where: its parameters, `ingest` or such as `ingest.targets.0`, for messages.
        sql: its column of the engine's tables.
    """

    name: str
    kind: str
    columns: tuple[str, ...]
    metric: str
    weight: float
    labels: tuple[str, ...] | None
    options: Any
    where: str
    sql: str

    @property
    def column(self) -> str:
        """Its columns in one text."""
        return ", ".join(self.columns)

    @property
    def labels_key(self) -> str:
        """The parameter that lists its labels."""
        return f"{self.where}.labels"

    @property
    def column_key(self) -> str:
        """The parameter that names its column."""
        return "ingest.label_column" if self.where == "ingest" else f"{self.where}.column"

    def as_target(self, outputs: Sequence[str], facts: Mapping[str, Any]) -> Target:
        """The target that its data made of it."""
        return Target(
            name=self.name,
            kind=self.kind,
            column=self.column,
            outputs=tuple(outputs),
            metric=self.metric,
            weight=self.weight,
            facts=dict(facts),
        )


def declared_target(
    kind: str,
    *,
    column: str,
    labels: Sequence[str] | None,
    metric: str | None,
    options: Mapping[str, Mapping[str, Any]],
) -> Declared:
    """The only target of a task, named as its column.

    Args:
        options: of each kind.

    Raises UserError for an unknown kind, a metric of another one, a wrong option, or parameters
    that exclude each other.
    """
    only = Declared(
        name=column,
        kind=kind,
        columns=(column,),
        metric=_metric(kind, metric, "ingest.metric"),
        weight=1.0,
        labels=None if labels is None else tuple(labels),
        options=typed_options(kind, options.get(kind, {}), where=f"ingest.kinds.{kind}"),
        where="ingest",
        sql=ONLY,
    )
    return _checked(only)


def declared_targets(
    entries: Sequence[Mapping[str, Any]], options: Mapping[str, Mapping[str, Any]]
) -> tuple[Declared, ...]:
    """The targets of a list; an entry's own options come before those of its kind.

    Raises UserError for two targets of one name, and as `declared_target`.
    """
    found = tuple(_entry(number, entry, options) for number, entry in enumerate(entries))
    names = [one.name for one in found]
    if twice := [name for name in names if names.count(name) > 1]:
        places = ", ".join(f"ingest.targets.{n}" for n, name in enumerate(names) if name in twice)
        raise UserError(
            f"{places}: several targets have the name '{twice[0]}'",
            code="parameter-value",
            hint="give each target its own name; `column` may be the same",
        )
    if len(found) == 1:
        found = (dataclasses.replace(found[0], sql=ONLY),)
    return tuple(_checked(target) for target in found)


def _entry(
    number: int, entry: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]]
) -> Declared:
    where = f"ingest.targets.{number}"
    names = [field.name for field in dataclasses.fields(_Fields)]
    common = {key: value for key, value in entry.items() if key in names}
    fields = parse(_Fields, _DEFAULTS | common, where)
    own = {key: value for key, value in entry.items() if key not in names}
    known = option_names(fields.kind)
    if wrong := [key for key in own if key not in known]:
        line = unknown_key(f"{where}.{wrong[0]}", (wrong[0],), own[wrong[0]], [*names, *known])
        raise UserError(line, code="parameter-unknown")
    return Declared(
        name=fields.name,
        kind=fields.kind,
        columns=(fields.column or fields.name,),
        metric=_metric(fields.kind, fields.metric, f"{where}.metric"),
        weight=fields.weight,
        labels=None if fields.labels is None else tuple(fields.labels),
        options=typed_options(fields.kind, {**options.get(fields.kind, {}), **own}, where=where),
        where=where,
        sql=f"label_{number}",
    )


def _checked(target: Declared) -> Declared:
    found: Declared = part(target.kind, "declared").checked(target)
    return found


def _metric(kind: str, metric: str | None, where: str) -> str:
    known = list(metrics(kind))
    if metric is None:
        return known[0]
    if metric not in known:
        raise UserError(
            f"{where}: '{metric}' is not a metric of the kind {kind} (value '{metric}')",
            code="parameter-value",
            hint=f"its metrics: {', '.join(known)}; null is the first",
        )
    return metric
