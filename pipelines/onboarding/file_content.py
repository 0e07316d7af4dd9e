"""The format of a file by its content, where its name does not tell it or tells another one."""

from pathlib import Path

from decant.runtime.errors import UserError
from decant.tables import detected_format, even_delimiter, formats, table_engine

# A `.txt` is prose unless every line has the same tabs: a line of prose may have commas.
_IN_TEXT_FILES = ("\t",)
_BY_DELIMITER = {",": "csv", ";": "csv", "|": "csv", "\t": "tsv"}
# Formats whose files often have another content than their name tells.
_SNIFFED = (None, "csv", "tsv", "txt")


def content_format(file: Path) -> str:
    """The reader whose rules the file follows, inside of a compressed file too.

    Raises UserError for a file that is not a table, not readable, or of a kind without a reader.
    """
    with table_engine() as engine:
        found, plain = detected_format(file, engine)
        if found not in _SNIFFED:
            return found or ""
        if plain.begins_with_object():
            return "jsonl"
        if found in ("csv", "tsv"):
            return found
        delimiter = even_delimiter(plain.head(), _IN_TEXT_FILES if found else _BY_DELIMITER)
        found = _BY_DELIMITER[delimiter] if delimiter else found
    if found is None:
        raise UserError(
            f"the format of {file.name} is not clear from its name, nor from its content",
            code="format-unknown",
            hint=f"name it by its format, or give one of: {', '.join(formats())}",
        )
    return found
