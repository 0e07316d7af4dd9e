"""The address of a store in an SQLite file. SQLAlchemy, which opens it, has the path encoded."""

import re
from pathlib import Path
from urllib.parse import unquote

_ADDRESS = re.compile(r"sqlite(?:\+\w+)?:///(?P<path>[^?]+)")
_RESERVED = set("%?#")


def sqlite_uri(file: Path) -> str:
    """The address of a file."""
    if not _RESERVED & set(str(file)):
        return f"sqlite:///{file}"
    from sqlalchemy.engine import URL

    # With the driver's name, since of `sqlite:///` MLflow makes the folder of the encoded path.
    return URL.create("sqlite+pysqlite", database=str(file)).render_as_string()


def sqlite_file(uri: str) -> Path | None:
    """The file of an address; None for another store, and for one in memory."""
    match = _ADDRESS.match(uri)
    return Path(unquote(match["path"])) if match and match["path"] != ":memory:" else None
