"""Rows that a stray quote has swallowed, in a file that is correct to the letter.

Two quotes that nobody meant, far from each other, make one long text of all the rows between them.
No reader can refuse that; but its lines look like rows of the file.
"""

from dataclasses import dataclass

from decant.runtime.errors import UserError
from decant.tables import Column, Engine, Table

_MOST_CLASSES = 10_000
_LINES_ALIKE = 3


def refuse_swallowed_rows(table: Table, engine: Engine, label: Column | None) -> None:
    """Raises UserError for a cell of several lines, half of which look like rows.

    A row has all fields, and a known label in its place; without a label column three lines or more
    of the table's width. A blank after the delimiter is a sentence's.
    """
    cells = [column.cell for column in table.columns]
    if label is None:
        _refuse_lines_of_the_same_width(table, engine, cells)
        return
    at = cells.index(label.cell)
    broken = " OR ".join(f"contains({cell}, chr(10))" for cell in cells)
    labels = engine.all(
        f"SELECT DISTINCT {label.cell} FROM {table.relation} "
        f"WHERE NOT coalesce({broken}, false) AND {label.cell} IS NOT NULL LIMIT {_MOST_CLASSES}"
    )
    known = {value for (value,) in labels}
    for batch in engine.batches(
        f"SELECT row, {', '.join(cells)} FROM {table.relation} WHERE {broken} ORDER BY row", 10_000
    ):
        for row, *values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            for place, value in enumerate(values):
                lines = (value or "").split("\n")
                shape = _Shape(table.delimiter, len(values), at, known)
                swallowed = [
                    line
                    for number, line in enumerate(lines)
                    if shape.has_row(line, number, place, len(lines))
                ]
                if len(swallowed) >= len(lines) / 2:
                    raise _refusal(table, row, len(lines), swallowed[0])


@dataclass(frozen=True)
class _Shape:
    """What a row of the file looks like: its fields, and one of the labels at its place."""

    delimiter: str
    width: int
    label: int
    known: set[str]

    def has_row(self, line: str, number: int, place: int, lines: int) -> bool:
        """Whether a line of the cell at `place` is a row, or its part of one."""
        fields = line.rstrip("\r").split(self.delimiter)
        first = place if number == 0 else 0  # the row's earlier fields stand before the cell
        end = place + 1 if number == lines - 1 else self.width
        here = self.label - first
        if len(fields) != end - first or not 0 <= here < len(fields):
            return False
        is_the_cell = (number == 0 and here == 0) or (number == lines - 1 and self.label == place)
        return not is_the_cell and fields[here].strip('"') in self.known


def _refuse_lines_of_the_same_width(table: Table, engine: Engine, cells: list[str]) -> None:
    width = len(cells)
    if width < 2:
        return
    broken = " OR ".join(f"contains({cell}, chr(10))" for cell in cells)
    query = f"SELECT row, {', '.join(cells)} FROM {table.relation} WHERE {broken} ORDER BY row"
    for batch in engine.batches(query, 10_000):
        for row, *values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            for value in values:
                lines = (value or "").split("\n")
                inner = [line.split(table.delimiter) for line in lines[1:-1]]
                alike = sum(
                    len(one) == width and not any(field.startswith(" ") for field in one[1:])
                    for one in inner
                )
                if alike >= _LINES_ALIKE and alike == len(inner):
                    raise _refusal(table, row, len(lines), lines[1])


def _refusal(table: Table, row: int, lines: int, line: str) -> UserError:
    shown = line if len(line) <= 60 else f"{line[:59]}…"
    return UserError(
        f"{table.name}, data row {row} (the header does not count): a quote opens a field of "
        f"{lines} lines, which look like rows of their own, such as '{shown}'",
        code="row-invalid",
        hint='remove the quote, or write it "like ""this"""; '
        "where the lines are meant as one text, give JSON lines or Parquet",
    )
