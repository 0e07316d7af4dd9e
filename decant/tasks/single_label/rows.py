"""A cell is the name of a class."""

from collections.abc import Mapping, Sequence
from typing import Any

from decant.tables import Column, Engine, Table, literal
from decant.tasks.declared import Declared
from decant.tasks.spelling import spelled, stripped

RAW = VALUE = "VARCHAR"
HAS_LABELS = True
ONE_STRATUM = True


def columns(table: Table, target: Declared, hint: str) -> list[Column]:
    """The one of the label."""
    return [table.column(target.columns[0], hint)]


def cell(columns: Sequence[Column], target: Declared) -> str:
    """As it is."""
    return columns[0].cell


def value(raw: str, target: Declared, marks: Sequence[str]) -> str:
    """In its one spelling; marks stay, since a given split must not have them."""
    return spelled(raw)


def problem(raw: str, target: Declared, marks: Sequence[str]) -> str:
    """Every text can be a class."""
    return "NULL"


def spellings(values: str, target: Declared) -> str:
    """Those that differ by more than white space at the ends."""
    return f"SELECT raw, one, rows FROM {values} WHERE {stripped('raw')} != one"


def unknown(value: str, marks: Sequence[str]) -> str:
    """A class that is a mark; "" marks a missing one."""
    return f"coalesce({value}, '') IN ({_listed(marks)})" if marks else "false"


def check(engine: Engine, target: Declared) -> None:
    """What the classes are is checked for all kinds with labels."""


def each_label(value: str) -> str:
    """One per row that has one."""
    return f"SELECT {value} AS label, role, split FROM live WHERE {value} IS NOT NULL"


def outside(value: str, labels: Sequence[str]) -> str:
    """The class, where it is another."""
    known = f"SELECT unnest([{_listed(labels)}]::VARCHAR[])"
    return f"CASE WHEN {value} NOT IN ({known}) THEN {value} END"


def has_any(value: str, labels: Sequence[str]) -> str:
    """The class is one of them."""
    return f"{value} IN ({_listed(labels)})"


def without(value: str, labels: Sequence[str]) -> str | None:
    """A row is of one class, so it has no place without it."""
    return None


def shown(value: str) -> str:
    """The class."""
    return value


def alike(mine: str, its: str) -> str:
    """The same class."""
    return f"{mine} = {its}"


def mentions(text: str, value: str) -> str:
    """The name of the class, in any case."""
    return f"contains({text}, lower({value}))"


def strata(engine: Engine, value: str) -> str:
    """The class."""
    return value


def summary(value: str) -> Mapping[str, str]:
    """Its classes say all."""
    return {}


def facts(engine: Engine, target: Declared) -> Mapping[str, Any]:
    """None."""
    return {}


def _listed(values: Sequence[str]) -> str:
    return ", ".join(map(literal, values))
