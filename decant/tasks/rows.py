"""How labels are read from tables, checked, and spread over the splits: SQL of the kinds.

The engine's table `live` has the rows in use, with a column per target: NULL where the label is
unknown. A kind's rows.py has what `KindRows` lists.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

from decant.tables import Column, Engine, Table
from decant.tasks.declared import Declared
from decant.tasks.kinds import part


class KindRows(Protocol):
    """What rows.py of a kind has. A `value` is the SQL name of a target's column of `live`.

    Attributes:
        RAW: SQL type of a cell as the file has it.
        VALUE: SQL type of the label, as in the corpus.
        HAS_LABELS: whether its outputs are labels, found in the data or listed.
        ONE_STRATUM: whether a row has one stratum; else it has a list of them.
    """

    RAW: str
    VALUE: str
    HAS_LABELS: bool
    ONE_STRATUM: bool

    def columns(self, table: Table, target: Declared, hint: str) -> list[Column]:
        """The columns of a file that hold its labels. Raises UserError where one is missing."""
        ...

    def cell(self, columns: Sequence[Column], target: Declared) -> str:
        """SQL of the raw label of a row."""
        ...

    def value(self, raw: str, target: Declared, marks: Sequence[str]) -> str:
        """SQL of the label, NULL where it is missing, or cannot be read.

        Args:
            marks: spellings of a label that is unknown.
        """
        ...

    def problem(self, raw: str, target: Declared, marks: Sequence[str]) -> str:
        """SQL: why a raw label cannot be read ("column 'stars' has 'x', which ..."), else NULL."""
        ...

    def spellings(self, values: str, target: Declared) -> str:
        """A query of `raw`, `one` and `rows`: every text of a label, and how it is spelled.

        Args:
            values: a table of the distinct raw labels: raw, one (its label), rows. "" where the
                kind has no spellings.
        """
        ...

    def unknown(self, value: str, marks: Sequence[str]) -> str:
        """SQL: whether the text of a row is to be used without its label."""
        ...

    def check(self, engine: Engine, target: Declared) -> None:
        """Raises UserError where the labels of all rows together cannot be learned or read."""
        ...

    def each_label(self, value: str) -> str:
        """A query of all labels of all rows of `live`: label, and the row's role and split."""
        ...

    def outside(self, value: str, labels: Sequence[str]) -> str:
        """SQL: the first label of a row that is not one of those, else NULL."""
        ...

    def has_any(self, value: str, labels: Sequence[str]) -> str:
        """SQL: whether a row has one of the labels."""
        ...

    def without(self, value: str, labels: Sequence[str]) -> str | None:
        """SQL of a row's label when there are no such labels; None: the row has no place then."""
        ...

    def shown(self, value: str) -> str:
        """SQL of the label as a text, for messages."""
        ...

    def alike(self, mine: str, its: str) -> str:
        """SQL: whether two nearly equal texts have labels that do not tell them apart."""
        ...

    def mentions(self, text: str, value: str) -> str:
        """SQL: whether a text, in small letters, contains the label."""
        ...

    def strata(self, engine: Engine, value: str) -> str:
        """SQL of the stratum of a row, a text, or of all its strata, a list of texts."""
        ...

    def summary(self, value: str) -> Mapping[str, str]:
        """SQL aggregates over the rows of a split, by what they are called."""
        ...

    def facts(self, engine: Engine, target: Declared) -> Mapping[str, Any]:
        """The facts of the target; those that the labels give are of the training rows alone."""
        ...


def rows_of(target: Declared) -> KindRows:
    """The part of a target's kind."""
    return cast(KindRows, part(target.kind, "rows"))
