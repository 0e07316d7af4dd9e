"""One spelling per label and group: SQL that says so."""

from collections.abc import Iterable

import duckdb

from decant.tables import literal

# White space as Python's str.split knows it: Unicode's, and the separators of ASCII.
BLANKS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


def stripped(text: str) -> str:
    """The text without white space at its ends."""
    return f"trim({text}, {literal(BLANKS)})"


def spelled(value: str) -> str:
    """A class or a group in its one spelling; NULL for an empty one.

    1.0 and 1.00 are 1, and True and TRUE are true, in whatever format they came. 1.10 stays, since
    it may be a version.
    """
    cell = stripped(value)
    whole = literal(r"-?(0|[1-9][0-9]*)\.0+")
    number = f"rtrim(rtrim({cell}, '0'), '.')"
    return (
        f"CASE WHEN {cell} = '' THEN NULL "
        f"WHEN regexp_full_match({cell}, {whole}) "
        f"THEN CASE WHEN {number} = '-0' THEN '0' ELSE {number} END "
        f"WHEN {cell} = '-0' THEN '0' "
        f"WHEN lower({cell}) IN ('true', 'false') THEN lower({cell}) ELSE {cell} END"
    )


def respelled(values: Iterable[str]) -> dict[str, str]:
    """Each value in its one spelling; "" for an empty one."""
    found = {}
    with duckdb.connect() as connection:
        for value in values:
            (one,) = connection.execute(f"SELECT {spelled('$1')}", [value]).fetchall()[0]
            found[value] = one or ""
    return found
