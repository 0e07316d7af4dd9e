"""All rows of all sources in the engine, in the order of the files.

files      file, name, role                    role: source, validation, test, unlabelled
rows       id, file, row, text, label, grp     unchanged cells, NULL where they are missing
rejected   id, kind, reason                    rows that are not used
live       id, role, label, grp, key, unlabelled, split, withheld     all others, without their text

Of several targets each has a column in place of `label`: Declared.sql names it.

`id` orders the rows; `row` is the data row of the file, from 1; `key` is the same for texts that
differ only in case and white space.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.ingest.origins import Origin, fetch_watched
from components.ingest.swallowed_rows import refuse_swallowed_rows
from components.ingest.texts import has_text, text_key
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
from decant.tasks.declared import Declared
from decant.tasks.rows import rows_of
from decant.tasks.spelling import spelled, stripped

ROW_ID = "files.name || ':' || rows.row"
_SCHEMA = """
    CREATE TABLE files (file INTEGER, name VARCHAR, role VARCHAR);
    CREATE TABLE rows (id BIGINT, file INTEGER, row BIGINT, text VARCHAR, {labels}, grp VARCHAR);
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
    targets: Sequence[Declared],
    marks: Sequence[str],
    group_column: str | None,
) -> None:
    """Fill `files`, `rows`, `rejected` (with repeated headers) and `live`.

    Args:
        marks: spellings of a label that is unknown.

    Raises:
        UserError: a source is missing, empty or malformed, or lacks a column; or a label cannot be
            read.
    """
    check_format(format_name)
    labels = ", ".join(f"{target.sql} {rows_of(target).RAW}" for target in targets)
    engine.run(_SCHEMA.format(labels=labels))
    files = [
        (origin.role, file)
        for origin in origins
        for file in _files(fetch_watched(origin), reporter)
    ]
    names = _names(files)
    base = 0
    for number, ((role, file), name) in enumerate(zip(files, names, strict=True)):
        labelled = not role.startswith("unlabelled")
        wanted = [text_column]
        if labelled:
            wanted += [column for target in targets for column in target.columns]
        if group_column is not None and role == "source":
            wanted.append(group_column)
        table = open_table(file, engine, format_name, wanted)
        for note in table.notes:
            reporter.message(note)
        columns = _columns(table, text_column, targets if labelled else [], group_column, role)
        kept = role if labelled else "unlabelled"
        engine.run(f"INSERT INTO files VALUES ({number}, {literal(name)}, '{kept}')")
        base = _insert(table, engine, columns, number, base, targets)
        engine.run(f"DROP {'VIEW' if table.is_view else 'TABLE'} {table.relation}")
    _settle_values(engine, targets, marks, reporter)
    _make_live(engine, targets)
    _refuse_unreadable_labels(engine, targets, marks)


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
    table: Table,
    engine: Engine,
    columns: "_Columns",
    number: int,
    base: int,
    targets: Sequence[Declared],
) -> int:
    """Insert the rows of a file; the largest id so far."""
    with reading(table):
        table.refuse_problems(engine, columns.all)
        labels = [
            rows_of(target).cell(columns.labels[target.sql], target) if columns.labels else "NULL"
            for target in targets
        ]
        group = columns.group.cell if columns.group else "NULL"
        engine.run(
            f"INSERT INTO rows SELECT {base} + row, {number}, row, {columns.text.cell}, "
            f"{', '.join(labels)}, {group} FROM {table.relation}"
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
        # One column of labels is enough to tell a row.
        name = targets[0].columns[0] if columns.labels else ""
        label = next((column for column in table.columns if column.name == name), None)
        refuse_swallowed_rows(table, engine, label)
    largest = engine.all(f"SELECT coalesce(max(id), {base}) FROM rows WHERE file = {number}")
    return int(largest[0][0])


def _make_live(engine: Engine, targets: Sequence[Declared]) -> None:
    names = [target.sql for target in targets]
    engine.run(
        f"""
        CREATE TABLE live AS
        SELECT rows.id, files.role, {"".join(f"{one}_values.one AS {one}, " for one in names)}
            grp_values.one AS grp,
            CASE WHEN {has_text("rows.text")} THEN {text_key("rows.text")} END AS key,
            false AS unlabelled, CAST(NULL AS VARCHAR) AS split, false AS withheld
        FROM rows JOIN files USING (file)
        {" ".join(f"LEFT JOIN {one}_values ON {one}_values.raw = rows.{one}" for one in names)}
        LEFT JOIN grp_values ON grp_values.raw = rows.grp
        ANTI JOIN rejected ON rejected.id = rows.id
        """
    )
    reject(engine, "no_text", "SELECT id, 'no text' AS reason FROM live WHERE key IS NULL")


def _settle_values(
    engine: Engine, targets: Sequence[Declared], marks: Sequence[str], reporter: Reporter
) -> None:
    """The one value of every raw label and group; a text that is read as another one is told."""
    for target in targets:
        kind = rows_of(target)
        _make_values(engine, target.sql, kind.value("raw", target, marks))
        what = "label" if len(targets) == 1 else f"label of '{target.name}'"
        if query := kind.spellings(f"{target.sql}_values", target):
            _tell_spellings(engine, query, what, reporter)
    _make_values(engine, "grp", spelled("raw"))
    query = f"SELECT raw, one, rows FROM grp_values WHERE {stripped('raw')} != one"
    _tell_spellings(engine, query, "group", reporter)


def _make_values(engine: Engine, column: str, value: str) -> None:
    engine.run(
        f"CREATE TABLE {column}_values AS SELECT raw, {value} AS one, rows FROM "
        f"(SELECT {column} AS raw, count(*) AS rows FROM rows GROUP BY {column})"
    )


def _tell_spellings(engine: Engine, query: str, what: str, reporter: Reporter) -> None:
    found = engine.all(
        f"SELECT raw, one FROM ({query}) ORDER BY rows DESC, raw LIMIT {_SHOWN_SPELLINGS + 1}"
    )
    if found:
        shown = ", ".join(f"'{raw}' as '{one}'" for raw, one in found[:_SHOWN_SPELLINGS])
        more = ", ..." if len(found) > _SHOWN_SPELLINGS else ""
        reporter.message(f"one spelling per {what}: {shown}{more}")


def _refuse_unreadable_labels(
    engine: Engine, targets: Sequence[Declared], marks: Sequence[str]
) -> None:
    """Raises UserError for the first row whose label cannot be read, with how many there are."""
    for target in targets:
        problem = rows_of(target).problem(f"rows.{target.sql}", target, marks)
        if problem == "NULL":
            continue
        wrong = f"SELECT rows.id, {problem} AS problem FROM live JOIN rows USING (id)"
        found = engine.first(
            f"SELECT id, problem, count(*) OVER () FROM ({wrong}) WHERE problem IS NOT NULL "
            "ORDER BY id"
        )
        if found:
            row, problem, count = found
            more = f" ({count} rows are so)" if count > 1 else ""
            raise UserError(
                f"{place(engine, row)}: {problem}{more}",
                code="label-unreadable",
                hint=f"correct the cell, or the options of {target.where}; "
                "ingest.unlabelled_labels lists values that mark a missing label",
            )


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


@dataclass(frozen=True)
class _Columns:
    """What is read of a file; `labels` by Declared.sql, empty of an unlabelled file."""

    text: Column
    labels: Mapping[str, Sequence[Column]]
    group: Column | None

    @property
    def all(self) -> list[Column]:
        labels = [column for columns in self.labels.values() for column in columns]
        return [self.text, *labels, *([self.group] if self.group else [])]


def _columns(
    table: Table, text: str, targets: Sequence[Declared], group: str | None, role: str
) -> _Columns:
    """An unlabelled file (no targets) may also have a single column of any name, as .txt has.

    Raises UserError for a column that is missing, or whose name looks like a text.
    """
    if not targets and text not in table.names and len(table.columns) == 1:
        text = table.columns[0].name
        if len(text) > _LONGEST_NAME_CHARACTERS or len(text.split()) > 2:
            raise UserError(
                f"the first line of {table.name} looks like a text, not like a column's name: "
                f"'{text[:_LONGEST_NAME_CHARACTERS]}'",
                code="header-missing",
                hint="put a line with the name `text` first, or name the file .txt",
            )
    has_group = group is not None and (role == "source" or group in table.names)
    return _Columns(
        text=table.column(text, "set ingest.text_column to one of them"),
        labels={
            target.sql: rows_of(target).columns(
                table, target, f"set {target.column_key} to one of them"
            )
            for target in targets
        },
        group=table.column(group, "set ingest.group_by to one of them, or to null")
        if group is not None and has_group
        else None,
    )
