"""A cell is a number, with a decimal point."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from decant.runtime.errors import UserError
from decant.tables import Column, Engine, Table, literal
from decant.tasks.declared import Declared
from decant.tasks.spelling import spelled, stripped

RAW = "VARCHAR"
VALUE = "DOUBLE"
HAS_LABELS = False
ONE_STRATUM = True

_NUMBER = literal(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LARGEST = 1e30  # a mean of squares has to be a number too, and an answer has 32 bits
_QUANTILES = 10
_ALIKE_DEVIATIONS = 0.5
_ROWS_AT_ONCE = 100_000


def columns(table: Table, target: Declared, hint: str) -> list[Column]:
    """The one of the number."""
    return [table.column(target.columns[0], hint)]


def cell(columns: Sequence[Column], target: Declared) -> str:
    """As it is."""
    return columns[0].cell


def value(raw: str, target: Declared, marks: Sequence[str]) -> str:
    """The number; NULL for anything else."""
    text = stripped(raw)
    return (
        f"CASE WHEN {_is_mark(raw, marks)} THEN NULL WHEN regexp_full_match({text}, {_NUMBER}) "
        f"THEN TRY_CAST({text} AS DOUBLE) END"
    )


def problem(raw: str, target: Declared, marks: Sequence[str]) -> str:
    """No number, one that is too large, out of its bounds, or a grade that is not whole."""
    options, text = target.options, stripped(raw)
    number = value(raw, target, marks)
    column = literal(f"column '{target.column}' has '")
    shown = f"{column} || {text} || '''"
    bounds = [
        f"WHEN {number} {sign} {bound!r} THEN {shown}, {word} {name}, {bound:g}'"
        for name, bound, sign, word in (
            ("minimum", options.minimum, "<", "below the"),
            ("maximum", options.maximum, ">", "above the"),
        )
        if bound is not None
    ]
    if options.ordinal:
        bounds.append(
            f"WHEN {number} != trunc({number}) "
            f"THEN {shown}, which is not a whole number as grades are (ordinal)'"
        )
    return (
        f"CASE WHEN {raw} IS NULL OR {text} = '' OR {_is_mark(raw, marks)} THEN NULL "
        f"WHEN NOT regexp_full_match({text}, {_NUMBER}) THEN {shown}, which is not a number' "
        f"WHEN {number} IS NULL OR NOT abs({number}) <= {_LARGEST!r} "
        f"THEN {shown}, which is too large a number' {' '.join(bounds)} END"
    )


def spellings(values: str, target: Declared) -> str:
    """A number is a number."""
    return ""


def unknown(value: str, marks: Sequence[str]) -> str:
    """A missing cell, as marks are read too."""
    return f"{value} IS NULL"


def check(engine: Engine, target: Declared) -> None:
    """Raises UserError where all numbers of the source are equal."""
    least, largest = engine.all(
        f"SELECT min({target.sql}), max({target.sql}) FROM live WHERE role = 'source'"
    )[0]
    if least is not None and least == largest:
        raise UserError(
            f"all numbers of '{target.name}' in ingest.source are {least:g}",
            code="class-single",
            hint=f"check the column '{target.column}'; there is nothing to learn from one number",
        )


def each_label(value: str) -> str:
    """None."""
    return "SELECT NULL::VARCHAR AS label, role, split FROM live WHERE false"


def outside(value: str, labels: Sequence[str]) -> str:
    """Never."""
    return "NULL"


def has_any(value: str, labels: Sequence[str]) -> str:
    """Never."""
    return "false"


def without(value: str, labels: Sequence[str]) -> str | None:
    """The number."""
    return value


def shown(value: str) -> str:
    """The number as it is written."""
    return spelled(f"CAST({value} AS VARCHAR)")


def alike(mine: str, its: str) -> str:
    """Nearer than half a standard deviation: raters differ by that of one text."""
    column = mine.rpartition(".")[2]
    spread = f"(SELECT {_ALIKE_DEVIATIONS} * stddev_pop({column}) FROM live)"
    return f"abs({mine} - {its}) < {spread}"


def mentions(text: str, value: str) -> str:
    """The number, not as a part of another."""
    number = f"replace({shown(value)}, '.', '[.]')"
    return f"regexp_matches({text}, '(^|[^0-9.])' || {number} || '([^0-9]|$)')"


def strata(engine: Engine, value: str) -> str:
    """Tenths of the rows by the number; equal numbers are in one."""
    shares = [place / _QUANTILES for place in range(1, _QUANTILES)]
    ((edges,),) = engine.all(
        f"SELECT quantile_disc({value}, {shares}) FROM live WHERE {value} IS NOT NULL"
    )
    distinct = sorted(set(edges or ()))
    return f"CAST(len(list_filter({distinct}::DOUBLE[], lambda one: one < {value})) AS VARCHAR)"


def summary(value: str) -> Mapping[str, str]:
    """How the numbers are spread."""
    return {
        "numbers": f"count({value})",
        "mean": f"avg({value})",
        "standard deviation": f"stddev_pop({value})",
        "least": f"min({value})",
        "largest": f"max({value})",
    }


def facts(engine: Engine, target: Declared) -> Mapping[str, Any]:
    """Bounds, and mean and standard deviation of the training labels (1 where they are equal)."""
    options, (center, scale) = target.options, _spread(engine, target.sql)
    return {
        "center": center,
        "scale": scale,
        "minimum": options.minimum,
        "maximum": options.maximum,
        "ordinal": options.ordinal,
    }


def _spread(engine: Engine, value: str) -> tuple[float, float]:
    """Mean and standard deviation, to the bit whatever the order of the rows (math.fsum)."""

    def numbers() -> Iterator[float]:
        query = f"SELECT {value} FROM live WHERE split = 'train' AND {value} IS NOT NULL"
        for batch in engine.batches(query, _ROWS_AT_ONCE):
            yield from batch.column(0).to_pylist()

    count = sum(1 for _ in numbers())
    if count == 0:
        return 0.0, 1.0
    center = math.fsum(numbers()) / count
    scale = math.sqrt(math.fsum((one - center) ** 2 for one in numbers()) / count)
    return center, scale or 1.0


def _is_mark(raw: str, marks: Sequence[str]) -> str:
    listed = ", ".join(map(literal, marks))
    return f"coalesce({spelled(raw)}, '') IN ({listed})" if marks else "false"
