"""A file in the engine: its columns, and SQL for their cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from decant.runtime.errors import UserError
from decant.tables._engine import Engine


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        name: as in the file.
        cell: an SQL expression: the text of a cell, NULL where it is missing.
        problem: an SQL expression: why a cell cannot be read as text ("a list"), else NULL.
        unreadable: why no cell of the column can be read as text; empty when they can.
        items: an SQL expression where a cell may be a list: its items as texts (a cell of one text
            is a list of it), NULL where the cell is missing; empty where the format has no lists.
        items_problem: as `problem`, of reading the cell as a list of texts.
        expected: what a cell should be, for messages.
    """

    name: str
    cell: str
    problem: str = "NULL"
    unreadable: str = ""
    items: str = ""
    items_problem: str = "NULL"
    expected: str = "one text"


@dataclass(frozen=True, kw_only=True)
class Table:
    """The rows of a file.

    Attributes:
        name: the file's, for messages.
        path: what the engine reads; never in a message.
        relation: a table or view of the engine; its column `row` counts the data rows from 1.
        columns: in the order of the file; two may have one name.
        counts: what `row` counts: "row", or "line" where that is the line of the file.
        notes: how the file was read where its name does not say so.
        delimiter: of the fields, where there is one.
        is_view: whether the relation is a view, which reads the file each time.
    """

    name: str
    path: Path
    relation: str
    columns: tuple[Column, ...]
    counts: str = "row"
    notes: tuple[str, ...] = ()
    delimiter: str = ""
    is_view: bool = False

    @property
    def names(self) -> list[str]:
        """The names of the columns, in the order of the file."""
        return [column.name for column in self.columns]

    def column(self, name: str, hint: str) -> Column:
        """The column of that name.

        Raises UserError when there is none, when there are two, or when it cannot be read as text.
        """
        found = self._named(name, hint)
        if found.unreadable:
            raise UserError(
                f"column '{name}' of {self.name} cannot be read as text: {found.unreadable}",
                code="column-not-text",
                hint=f"save it as text, or {hint}",
            )
        return found

    def list_column(self, name: str, hint: str) -> Column:
        """The column of that name, its cell a list of texts; a cell of one text is a list of it.

        Raises UserError as `column`.
        """
        found = self._named(name, hint)
        if found.items:
            cell, problem = found.items, found.items_problem
        else:
            text = self.column(name, hint)
            cell = f"CASE WHEN {text.cell} IS NOT NULL THEN [{text.cell}] END"
            problem = text.problem
        return Column(name=name, cell=cell, problem=problem, expected="a list of texts")

    def _named(self, name: str, hint: str) -> Column:
        found = [column for column in self.columns if column.name == name]
        if not found:
            raise UserError(
                f"{self.name} has no column '{name}'; it has: {', '.join(self.names)}",
                code="column-unknown",
                hint=hint,
            )
        if len(found) > 1:
            raise UserError(
                f"{self.name} has {len(found)} columns named '{name}'",
                code="columns-same-name",
                hint="give each column its own name",
            )
        return found[0]

    def refuse_problems(self, engine: Engine, columns: Sequence[Column]) -> None:
        """Raises UserError for the first cell of the columns that cannot be read as text."""
        checked = [column for column in columns if column.problem != "NULL"]
        if not checked:
            return
        problems = ", ".join(column.problem for column in checked)
        first = engine.first(
            f"SELECT row, {problems} FROM {self.relation} "
            f"WHERE coalesce({problems}) IS NOT NULL ORDER BY row"
        )
        if first:
            row, *found = first
            wrong, problem = next(
                (column, text)
                for column, text in zip(checked, found, strict=True)
                if text is not None
            )
            raise UserError(
                f"{self.name}, {self.counts} {row} (the first is 1): column '{wrong.name}' has "
                f"{problem}, which is not {wrong.expected}",
                code="cell-not-text",
                hint=f"write {wrong.expected} per cell; a number counts as a text",
            )


def rows_of(table: Table, columns: Sequence[Column]) -> str:
    """A query for the rows: `row`, then one text column c0, c1, ... for each of `columns`."""
    cells = "".join(f", {column.cell} AS c{n}" for n, column in enumerate(columns))
    return f"SELECT row{cells} FROM {table.relation}"
