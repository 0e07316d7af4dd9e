"""Which character separates the fields of a file: the one that gives the columns looked for."""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

NAMES = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
_LOOKED_AT_RECORDS = 200
_NEARLY_ALL = 0.9


def pick_delimiter(head: str, wanted: Sequence[str], usual: str) -> str:
    """The one whose header has the wanted columns, else the one that gives even records.

    Args:
        head: the beginning of the file.
        wanted: names of columns, the most important first.
        usual: taken where nothing speaks for another one.
    """
    order = [usual, *(one for one in NAMES if one != usual)]
    names = {one: _names(head, one) for one in order}
    for looked_for in filter(None, (wanted, wanted[:1])):
        for one in order:
            if set(looked_for) <= set(names[one]):
                return one
    return even_delimiter(head, order) or usual


def even_delimiter(head: str, among: Iterable[str]) -> str | None:
    """The first that gives at least two columns, of which nearly every record has as many.

    None when there is none.
    """
    fitting = (one for one in among if len(_names(head, one)) > 1 and _is_even(head, one))
    return next(fitting, None)


def first_records(head: str, delimiter: str, most: int) -> list[list[str]]:
    """The first records that are not blank."""
    with long_fields():
        reader = csv.reader(
            io.StringIO(head, newline=""), delimiter=delimiter, skipinitialspace=True
        )
        return list(islice((record for record in reader if record), most))


@contextmanager
def long_fields() -> Iterator[None]:
    """The csv module refuses fields above 131,072 characters, which a text may have."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _names(head: str, delimiter: str) -> list[str]:
    records = first_records(head, delimiter, 1)
    return [plain_name(name) for name in records[0]] if records else []


def plain_name(name: str) -> str:
    """A column's name without blanks and invisible marks at its ends."""
    return name.strip(" \t\r\n\xa0\ufeff\u200b")


def _is_even(head: str, delimiter: str) -> bool:
    """Whether no record has more fields than the header, and nearly all have as many."""
    widths = [len(record) for record in first_records(head, delimiter, _LOOKED_AT_RECORDS)]
    as_header = sum(width == widths[0] for width in widths)
    return max(widths) == widths[0] and as_header >= _NEARLY_ALL * len(widths)
