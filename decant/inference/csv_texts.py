"""The texts of a CSV table that a server receives, as they stand there.

docker/serve.py reads the same way; it has to work with models that were registered without this.
"""

import csv
import io
import reprlib

# Above the csv module's own limit: a long text is refused as such, with its row.
_MAX_FIELD_CHARACTERS = 1 << 30


def csv_texts(content: str, column: str) -> list[str]:
    """The fields of a column: `NA` is a text, an empty field is the empty text.

    Blank lines are no rows. Other columns are ignored.

    Raises:
        ValueError: the table has no such column or two, or a row is broken, with its number.
    """
    csv.field_size_limit(_MAX_FIELD_CHARACTERS)
    lines = io.StringIO(content.removeprefix("\ufeff"), newline="")
    reader = filter(None, csv.reader(lines, strict=True))
    texts: list[str] = []
    try:
        header = next(reader, [])
        if header.count(column) != 1:
            problem = f"{'more than one' if column in header else 'no'} column '{column}'"
            raise ValueError(f"the CSV has {problem}; its header is {reprlib.repr(header)}")
        place, width = header.index(column), len(header)
        for fields in reader:
            if len(fields) != width:
                raise csv.Error(f"{len(fields)} fields, but the header has {width}")
            texts.append(fields[place])
    except csv.Error as error:
        raise ValueError(
            f"row {len(texts)} of the input is not CSV: {error} (rows are counted from 0, without "
            "the header); quote a field that has a comma, a quote or a line break"
        ) from None
    return texts
