"""The texts of a CSV table that a server receives, as they stand there.

docker/serve.py reads the same way; it has to work with models that were registered without this.
"""

import csv
import io
import re
import reprlib

# Above the csv module's own limit: a long text is refused as such, with its row.
_MAX_FIELD_CHARACTERS = 1 << 30
_OTHER_DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars"}


def csv_texts(content: str, column: str) -> list[str]:
    """The fields of a column: `NA` is a text, an empty field is the empty text.

    Blank lines are no rows, blanks around a column's name do not count, other columns are ignored.
    A table without rows has no texts.

    Raises:
        ValueError: the table has no such column or two, or a row is broken, with its number.
    """
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    lines = io.StringIO(content.removeprefix("\ufeff"), newline="")
    reader = filter(None, csv.reader(lines, strict=True))
    header: list[str] = []
    texts: list[str] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        if header.count(column) != 1:
            problem = f"{'more than one' if column in header else 'no'} column '{column}'"
            raise ValueError(
                f"the CSV has {problem}; its header is {reprlib.repr(header)}"
                + _delimiter_note(content, column)
            )
        place, width = header.index(column), len(header)
        for fields in reader:
            if len(fields) != width:
                raise csv.Error(f"{len(fields)} fields, but the header has {width}")
            texts.append(fields[place])
    except csv.Error as error:
        note = "" if header else _delimiter_note(content, column)
        raise ValueError(
            f"row {len(texts)} of the input is not CSV: {error} (rows are counted from 0, without "
            "the header)"
            + (note or '; write a field with a comma, a quote or a line break "like ""this"""')
        ) from None
    return texts


def _delimiter_note(content: str, column: str) -> str:
    """Which other delimiter gives the column, or nothing: a server does not guess."""
    (header,) = re.findall(r"\A[\ufeff\r\n]*([^\r\n]*)", content)
    for delimiter, name in _OTHER_DELIMITERS.items():
        fields = [field.strip(' "') for field in header.split(delimiter)]
        if len(fields) > 1 and column in fields:
            return f"; its fields are separated by {name}, send them separated by commas"
    return ""
