"""Rows that a stray quote has swallowed, in a file that is correct to the letter.

Two quotes that nobody meant, far from each other, make one long text of all the rows between them.
No reader can refuse that; but its lines look like rows of the file.
"""

from decant.runtime.errors import UserError
from decant.tables import Column, Engine, Table

_MOST_CLASSES = 10_000


def refuse_swallowed_rows(table: Table, engine: Engine, label: Column | None) -> None:
    """Raises UserError for a cell of several lines one of which ends as a row with a known label.

    Without a label column there is nothing to tell a row by.
    """
    if label is None:
        return
    cells = [column.cell for column in table.columns]
    at = cells.index(label.cell)
    broken = " OR ".join(f"contains({cell}, chr(10))" for cell in cells)
    labels = engine.all(
        f"SELECT DISTINCT trim({label.cell}) FROM {table.relation} "
        f"WHERE NOT coalesce({broken}, false) AND {label.cell} IS NOT NULL LIMIT {_MOST_CLASSES}"
    )
    known = {value for (value,) in labels}
    for batch in engine.batches(
        f"SELECT row, {', '.join(cells)} FROM {table.relation} WHERE {broken} ORDER BY row", 10_000
    ):
        for row, *values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            for place, value in enumerate(values):
                lines = (value or "").split("\n")
                swallowed = [
                    line
                    for number, line in enumerate(lines[:-1])
                    if _is_row(
                        line, table.delimiter, 0 if number else place, len(values), at, known
                    )
                ]
                if swallowed:
                    raise _refusal(table, row, len(lines), swallowed[0])


def _is_row(line: str, delimiter: str, first: int, width: int, label: int, known: set[str]) -> bool:
    """Whether the line has the fields of a row from the `first` on, with a label in its place."""
    fields = line.rstrip("\r").split(delimiter)
    here = label - first
    return len(fields) == width - first and here > 0 and fields[here].strip(' "') in known


def _refusal(table: Table, row: int, lines: int, line: str) -> UserError:
    shown = line if len(line) <= 60 else f"{line[:59]}…"
    return UserError(
        f"{table.name}, data row {row} (the header does not count): a quote opens a field of "
        f"{lines} lines, which look like rows of their own, such as '{shown}'",
        code="row-invalid",
        hint='remove the quote, or write it "like ""this"""',
    )
