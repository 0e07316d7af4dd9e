"""All rows of all sources in the engine, in the order of the files.

files      file, name, role                    role: source, validation, test, unlabelled
rows       id, file, row, text, label, grp     unchanged cells, NULL where they are missing
rejected   id, kind, reason                    rows that are not used
live       id, role, label, grp, key, unlabelled, split, withheld     all others, without their text

`id` orders the rows; `row` is the data row of the file, from 1; `key` is the same for texts that
differ only in case and white space.
"""

from collections.abc import Sequence
from pathlib import Path

from components.ingest.origins import Origin, fetch_watched
from components.ingest.spelling import has_text, spelled, stripped, text_key
from components.ingest.swallowed_rows import refuse_swallowed_rows
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.tables import (
    Column,
    Engine,
    Table,
    check_format,
    formats,
    known_format,
    literal,
    open_table,
    reading,
)

ROW_ID = "files.name || ':' || rows.row"
_SCHEMA = """
    CREATE TABLE files (file INTEGER, name VARCHAR, role VARCHAR);
    CREATE TABLE rows (
        id BIGINT, file INTEGER, row BIGINT, text VARCHAR, label VARCHAR, grp VARCHAR
    );
    CREATE TABLE rejected (id BIGINT, kind VARCHAR, reason VARCHAR);
"""
_SHOWN_SPELLINGS = 5
_SHOWN_NAMES = 5
_LONGEST_NAME_CHARACTERS = 60


def load_rows(
    origins: Sequence[Origin],
    engine: Engine,
    reporter: Reporter,
    *,
    format_name: str,
    text_column: str,
    label_column: str,
    group_column: str | None,
) -> None:
    """Fill `files`, `rows`, `rejected` (with repeated headers) and `live`.

    Raises:
        UserError: a source is missing, empty or malformed, or lacks a column.
    """
    check_format(format_name)
    engine.run(_SCHEMA)
    files = [
        (origin.role, file)
        for origin in origins
        for file in _files(fetch_watched(origin), reporter)
    ]
    names = _names(files)
    base = 0
    for number, ((role, file), name) in enumerate(zip(files, names, strict=True)):
        labelled = not role.startswith("unlabelled")
        wanted = [text_column, *([label_column] if labelled else [])]
        if group_column is not None and role == "source":
            wanted.append(group_column)
        table = open_table(file, engine, format_name, wanted)
        for note in table.notes:
            reporter.message(note)
        columns = _columns(
            table, text_column, label_column if labelled else None, group_column, role
        )
        kept = role if labelled else "unlabelled"
        engine.run(f"INSERT INTO files VALUES ({number}, {literal(name)}, '{kept}')")
        base = _insert(table, engine, columns, number, base)
        engine.run(f"DROP {'VIEW' if table.is_view else 'TABLE'} {table.relation}")
    _settle_spellings(engine, reporter)
    _make_live(engine)


def reject(engine: Engine, kind: str, query: str) -> int:
    """Move the rows of `live` that a query gives, as id and reason, to `rejected`; how many."""
    engine.run(f"CREATE OR REPLACE TABLE newly AS {query}")
    engine.run(f"INSERT INTO rejected SELECT id, '{kind}', reason FROM newly")
    engine.run("DELETE FROM live USING newly WHERE live.id = newly.id")
    ((count,),) = engine.all("SELECT count(*) FROM newly")
    return int(count)


def place(engine: Engine, row: int) -> str:
    """The place of a row by its id, such as `train.csv:17`."""
    ((found,),) = engine.all(
        f"SELECT {ROW_ID} FROM rows JOIN files USING (file) WHERE rows.id = {row}"
    )
    return str(found)


def _insert(
    table: Table, engine: Engine, columns: dict[str, Column | None], number: int, base: int
) -> int:
    """Insert the rows of a file; the largest id so far."""
    named = [column for column in columns.values() if column]
    with reading(table):
        table.refuse_problems(engine, named)
        cells = ", ".join(
            f"{column.cell if column else 'NULL'} AS {name}" for name, column in columns.items()
        )
        engine.run(
            f"INSERT INTO rows SELECT {base} + row, {number}, row, {cells} FROM {table.relation}"
        )
    if table.delimiter:
        header = " AND ".join(
            f"trim({column.cell}, ' \ufeff') = {literal(column.name)}"
            for column in table.columns
            if column.name
        )
        engine.run(
            f"INSERT INTO rejected SELECT {base} + row, 'header', "
            f"'the header once more' FROM {table.relation} WHERE {header or 'false'}"
        )
        refuse_swallowed_rows(table, engine, columns["label"])
    largest = engine.all(f"SELECT coalesce(max(id), {base}) FROM rows WHERE file = {number}")
    return int(largest[0][0])


def _make_live(engine: Engine) -> None:
    engine.run(
        f"""
        CREATE TABLE live AS
        SELECT rows.id, files.role, label_spellings.one AS label, grp_spellings.one AS grp,
            CASE WHEN {has_text("rows.text")} THEN {text_key("rows.text")} END AS key,
            false AS unlabelled, CAST(NULL AS VARCHAR) AS split, false AS withheld
        FROM rows JOIN files USING (file)
        LEFT JOIN label_spellings ON label_spellings.raw = rows.label
        LEFT JOIN grp_spellings ON grp_spellings.raw = rows.grp
        ANTI JOIN rejected ON rejected.id = rows.id
        """
    )
    reject(engine, "no_text", "SELECT id, 'no text' AS reason FROM live WHERE key IS NULL")


def _settle_spellings(engine: Engine, reporter: Reporter) -> None:
    """The one spelling of every label and group; a value that is read as another one is told."""
    for column, what in (("label", "label"), ("grp", "group")):
        engine.run(
            f"CREATE TABLE {column}_spellings AS SELECT raw, {spelled('raw')} AS one, rows FROM "
            f"(SELECT {column} AS raw, count(*) AS rows FROM rows GROUP BY {column})"
        )
        found = engine.all(
            f"SELECT raw, one FROM {column}_spellings WHERE {stripped('raw')} != one "
            f"ORDER BY rows DESC, raw LIMIT {_SHOWN_SPELLINGS + 1}"
        )
        if found:
            shown = ", ".join(f"'{raw}' as '{one}'" for raw, one in found[:_SHOWN_SPELLINGS])
            more = ", ..." if len(found) > _SHOWN_SPELLINGS else ""
            reporter.message(f"one spelling per {what}: {shown}{more}")


def _files(path: Path, reporter: Reporter) -> list[Path]:
    """The file itself, or the files of a folder whose names imply a known format, sorted.

    What begins with a dot is the system's or an editor's.
    """
    if not path.is_dir():
        return [path]
    entries = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")]
    files = [entry for entry in entries if entry.is_file() and known_format(entry)]
    if not files:
        raise UserError(
            f"there is no data file in the folder '{path}'",
            code="file-missing",
            hint=f"add a file; formats: {', '.join(formats())}",
        )
    if other := [entry.name for entry in entries if entry not in files]:
        more = ", ..." if len(other) > _SHOWN_NAMES else ""
        reporter.message(f"not read in '{path.name}': {', '.join(other[:_SHOWN_NAMES])}{more}")
    return files


def _names(files: Sequence[tuple[str, Path]]) -> list[str]:
    """File names where they are distinct, with the role in front where not."""
    bare = [file.name for _, file in files]
    return [
        file.name if bare.count(file.name) == 1 else f"{role}/{file.name}" for role, file in files
    ]


def _columns(
    table: Table, text: str, label: str | None, group: str | None, role: str
) -> dict[str, Column | None]:
    """An unlabelled file may also have a single column of any name, as .txt has.

    Raises UserError for a column that is missing, or whose name looks like a text.
    """
    if label is None and text not in table.names and len(table.columns) == 1:
        text = table.columns[0].name
        if len(text) > _LONGEST_NAME_CHARACTERS or len(text.split()) > 2:
            raise UserError(
                f"the first line of {table.name} looks like a text, not like a column's name: "
                f"'{text[:_LONGEST_NAME_CHARACTERS]}'",
                code="header-missing",
                hint="put a line with the name `text` first, or name the file .txt",
            )
    has_group = group is not None and (role == "source" or group in table.names)
    return {
        "text": table.column(text, "set ingest.text_column to one of them"),
        "label": table.column(label, "set ingest.label_column to one of them") if label else None,
        "grp": table.column(group, "set ingest.group_by to one of them")
        if group is not None and has_group
        else None,
    }
