"""A cell has labels with a separator between them, or is a list; or each label has a column."""

from collections.abc import Mapping, Sequence
from typing import Any

from decant.runtime.errors import UserError
from decant.tables import Column, Engine, Table, literal
from decant.tasks.declared import Declared
from decant.tasks.spelling import respelled, spelled, stripped

RAW = VALUE = "VARCHAR[]"
HAS_LABELS = True
ONE_STRATUM = False

_WRITTEN_LIST = literal(r"""\s*\[\s*(['"].*|\]\s*)""")  # as Python and JSON write it
_APPLIES = ("1", "true")
_DOES_NOT = ("0", "false")


def columns(table: Table, target: Declared, hint: str) -> list[Column]:
    """Those of the labels; or the one of texts with a separator; or the one of lists."""
    if target.options.label_columns:
        return [table.column(name, "correct label_columns") for name in target.columns]
    (name,) = target.columns
    if target.options.separator is not None:
        return [table.column(name, f"{hint}; lists need no separator: set it to null")]
    return [table.list_column(name, hint)]


def cell(columns: Sequence[Column], target: Declared) -> str:
    """A list of texts: the parts of the cell; or the cells of the labels' columns."""
    options = target.options
    if options.label_columns:
        cells = ", ".join(column.cell for column in columns)
        return f"CASE WHEN coalesce({cells}) IS NOT NULL THEN [{cells}] END"
    if options.separator is not None:
        return f"string_split({columns[0].cell}, {literal(options.separator)})"
    return columns[0].cell


def value(raw: str, target: Declared, marks: Sequence[str]) -> str:
    """Each label once, in its one spelling, sorted; a single blank text is a missing cell."""
    if target.options.label_columns:
        names = list(respelled(target.options.label_columns).values())
        applies = f"{_cell('one')} IN {_APPLIES}"
        return (
            f"CASE WHEN {raw} IS NOT NULL THEN list_sort(list_filter("
            f"{_list(names)}, "
            f"lambda name, nth: list_transform({raw}, lambda one: coalesce({applies}, false))[nth]"
            ")) END"
        )
    labels = f"list_filter(list_transform({raw}, lambda one: {_cell('one')}), {_NOT_NULL})"
    is_mark = f"len({labels}) = 1 AND list_has_any({labels}, {_list(marks)})"
    is_blank = f"len({raw}) = 1 AND len({labels}) = 0"
    return (
        f"CASE WHEN {is_blank} OR {is_mark} THEN NULL ELSE list_sort(list_distinct({labels})) END"
    )


def problem(raw: str, target: Declared, marks: Sequence[str]) -> str:
    """A column of a label has neither 0 nor 1; or the cell is a list in some program's notation."""
    if not target.options.label_columns:
        words = literal(f"column '{target.column}' has a list written as text: ")
        advice = literal("; give JSON lines or Parquet, or a separator between the labels")
        return (
            f"CASE WHEN regexp_full_match({raw}[1], {_WRITTEN_LIST}, 's') "
            f"THEN {words} || left({raw}[1], 60) || {advice} END"
        )
    allowed = f"{_cell('one')} IN {(*_APPLIES, *_DOES_NOT)}"
    bad = f"list_transform({raw}, lambda one: coalesce({allowed}, false))"
    at = f"list_position({bad}, false)"
    found = f"coalesce('''' || {raw}[{at}] || '''', 'nothing')"
    return (
        f"CASE WHEN {at} > 0 THEN 'column ''' || ({_list(target.columns)})[{at}] || ''' has ' "
        f"|| {found} || ', not 0 or 1' END"
    )


def spellings(values: str, target: Declared) -> str:
    """Those that differ by more than white space at the ends."""
    if target.options.label_columns:
        return ""
    texts = f"SELECT unnest(raw) AS raw, rows FROM {values} WHERE one IS NOT NULL"
    each = f"SELECT raw, {spelled('raw')} AS one, rows FROM ({texts})"
    return (
        f"SELECT raw, one, sum(rows) AS rows FROM ({each}) WHERE {stripped('raw')} != one "
        "GROUP BY raw, one"
    )


def unknown(value: str, marks: Sequence[str]) -> str:
    """A missing cell, as marks are read too; an empty list is known."""
    return f"{value} IS NULL"


def check(engine: Engine, target: Declared) -> None:
    """Raises UserError for a separator that is in no cell."""
    separator = target.options.separator
    if separator is None:
        return
    where = f"{target.sql} IS NOT NULL"
    if engine.first(f"SELECT 1 FROM rows WHERE {where} AND len({target.sql}) > 1"):
        return
    first = engine.first(
        f"SELECT files.name || ':' || rows.row, {target.sql}[1] FROM rows JOIN files USING (file) "
        f"WHERE {where} ORDER BY rows.id"
    )
    shown = f", such as '{first[1]}' in {first[0]}" if first else ""
    raise UserError(
        f"the separator '{separator}' is in no cell of column '{target.column}'{shown}",
        code="separator-unused",
        hint="correct the separator, or set it to null where every cell has one label",
    )


def each_label(value: str) -> str:
    """As many per row as it has."""
    return f"SELECT unnest({value}) AS label, role, split FROM live WHERE {value} IS NOT NULL"


def outside(value: str, labels: Sequence[str]) -> str:
    """The first by the alphabet."""
    return f"list_filter({value}, lambda one: NOT list_contains({_list(labels)}, one))[1]"


def has_any(value: str, labels: Sequence[str]) -> str:
    """One of its labels is one of them."""
    return f"coalesce(list_has_any({value}, {_list(labels)}), false)"


def without(value: str, labels: Sequence[str]) -> str | None:
    """The other labels of the row."""
    return f"list_filter({value}, lambda one: NOT list_contains({_list(labels)}, one))"


def shown(value: str) -> str:
    """The labels with commas between them; "no label" of an empty list."""
    return f"CASE WHEN len({value}) = 0 THEN 'no label' ELSE array_to_string({value}, ', ') END"


def alike(mine: str, its: str) -> str:
    """The same labels."""
    return f"{mine} = {its}"


def mentions(text: str, value: str) -> str:
    """The name of one of the labels, in any case."""
    return f"len(list_filter({value}, lambda one: contains({text}, lower(one)))) > 0"


def strata(engine: Engine, value: str) -> str:
    """The labels; the empty text of a row that has none."""
    return f"CASE WHEN len({value}) = 0 THEN [''] ELSE {value} END"


def summary(value: str) -> Mapping[str, str]:
    """How many rows have none of the labels."""
    return {"no label": f"count(*) FILTER (len({value}) = 0)"}


def facts(engine: Engine, target: Declared) -> Mapping[str, Any]:
    """How thresholds are set."""
    return {"thresholds": target.options.thresholds, "threshold": target.options.threshold}


_NOT_NULL = "lambda one: one IS NOT NULL"


def _cell(text: str) -> str:
    return f"({spelled(text)})"


def _list(values: Sequence[str]) -> str:
    return f"([{', '.join(map(literal, values))}]::VARCHAR[])"
