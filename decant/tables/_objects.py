"""Rows of JSON objects: a column is a key, a cell is its value as JSON writes it."""

import json
from collections.abc import Callable
from itertools import islice
from typing import Any

import duckdb
import pyarrow as pa

from decant.runtime.errors import UserError
from decant.tables._content import PlainFile
from decant.tables._engine import Engine, literal
from decant.tables._lines import lines_of, load_lines
from decant.tables._table import Column, Table

# An object of a file becomes another one, such as a flat one.
Flatten = Callable[[dict[str, Any]], dict[str, Any]]

_MAX_OBJECT_BYTES = 64 << 20
_BATCH_ROWS = 5000
_LOOKED_AT = 100  # objects, to tell who wrote the file
_SCHEMA = pa.schema({"row": pa.int64(), "line": pa.string()})
_NOT_NUMBERS = "'null', 'NaN', 'Infinity', '-Infinity'"


def open_objects(file: PlainFile, engine: Engine, flatten: Flatten | None = None) -> Table:
    """The objects of a file: one per line, or all in one array.

    Args:
        flatten: applied to each object first.

    Raises UserError for what is not an object, has a key twice, or half a character, with the line.
    """
    if _is_array(file):
        relation, counts = _load_array(file, engine), "object"
    else:
        relation, counts = load_lines(file.path, engine), "line"
        engine.run(f"DELETE FROM {relation} WHERE trim(line) = ''")
    _settle(relation, engine, f"{file.name}, {counts}", flatten)
    return Table(
        name=file.name,
        path=file.path,
        relation=relation,
        columns=tuple(_column(key) for key in _keys(relation, engine)),
        counts=counts,
        notes=file.notes,
    )


def first_objects(file: PlainFile, engine: Engine) -> list[dict[str, Any]]:
    """Some objects at the beginning of a file; none when it does not begin with objects."""
    try:
        if _is_array(file):
            lines = [line for (line,) in engine.all(f"{_array(file)} LIMIT {_LOOKED_AT}")]
        else:
            lines = list(islice(filter(str.strip, lines_of(file.path)), _LOOKED_AT))
        found = [json.loads(line) for line in lines]
    except (ValueError, RecursionError, duckdb.Error):
        return []
    return [one for one in found if isinstance(one, dict)]


def only_item(value: Any) -> Any:
    """The item of a list of one, None for an empty list; any other value unchanged."""
    if isinstance(value, list):
        distinct = [one for place, one in enumerate(value) if one not in value[:place]]
        if len(distinct) < 2:
            return distinct[0] if distinct else None
    return value


def _is_array(file: PlainFile) -> bool:
    with file.path.open(encoding="utf-8-sig") as stream:
        return stream.read(1000).lstrip().startswith("[")


def _array(file: PlainFile) -> str:
    return (
        f"SELECT CAST(json AS VARCHAR) AS line FROM read_json_objects({literal(str(file.path))}, "
        f"format='array', compression='none', maximum_object_size={_MAX_OBJECT_BYTES})"
    )


def _load_array(file: PlainFile, engine: Engine) -> str:
    relation = engine.new_name("objects")
    try:
        engine.run(
            f"CREATE TABLE {relation} AS "
            f"SELECT row_number() OVER () AS row, line FROM ({_array(file)})"
        )
    except duckdb.Error as error:
        problem = str(error).partition("\n")[0].replace(str(file.path), file.name)
        raise UserError(
            f"{file.name} is not a readable JSON array: {problem}", code="file-invalid"
        ) from None
    return relation


def _settle(relation: str, engine: Engine, place: str, flatten: Flatten | None) -> None:
    """Python reads what is to be flattened, and lines that the engine does not take.

    It knows what is wrong, and takes the NaN of other programs.
    """
    doubtful = (
        "CASE WHEN NOT coalesce(json_valid(line), false) THEN true "
        "WHEN json_type(line) != 'OBJECT' THEN true "
        "ELSE len(json_keys(line)) != len(list_distinct(json_keys(line))) END"
    )
    where = "true" if flatten else doubtful
    changed = engine.new_name("changed")
    connection = engine.connection
    engine.run(f"CREATE TABLE {changed} (row BIGINT, line VARCHAR)")
    cursor = connection.cursor()
    cursor.execute(f"SELECT row, line FROM {relation} WHERE {where} ORDER BY row")
    while batch := cursor.fetchmany(_BATCH_ROWS):
        lines = [_rewritten(line, f"{place} {row}", flatten) for row, line in batch]
        new = pa.table([[row for row, _ in batch], lines], schema=_SCHEMA)
        connection.register("new_lines", new)
        engine.run(f"INSERT INTO {changed} FROM new_lines")
        connection.unregister("new_lines")
    cursor.close()
    engine.run(
        f"UPDATE {relation} SET line = {changed}.line FROM {changed} "
        f"WHERE {relation}.row = {changed}.row"
    )
    engine.run(f"DROP TABLE {changed}")


def _rewritten(line: str, place: str, flatten: Flatten | None) -> str:
    try:
        value = json.loads(line, object_pairs_hook=_distinct)
        if isinstance(value, dict):
            text = json.dumps(flatten(value) if flatten else value, ensure_ascii=False)
            text.encode()  # JSON can escape half a surrogate pair, which is not text
            return text
        problem = f"a JSON {type(value).__name__}, not an object"
    except UnicodeEncodeError as error:
        problem = f"unpaired surrogate {error.object[error.start]!a} is not a character"
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError as error:
        problem = str(error)
    raise UserError(
        f"{place} (the first is 1): {problem}",
        code="row-invalid",
        hint='write one object per line, such as {"text": "...", "label": "..."}, as `jq -c` does',
    )


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key '{twice}' is in it twice")
    return found


def _keys(relation: str, engine: Engine) -> list[str]:
    """Of all objects, in the order of their first appearance."""
    found = engine.all(
        f"SELECT key FROM (SELECT row, unnest(json_keys(line)) AS key, "
        f"generate_subscripts(json_keys(line), 1) AS place FROM {relation}) "
        "GROUP BY key ORDER BY min(row), min(place)"
    )
    return [key for (key,) in found]


def _column(key: str) -> Column:
    """A JSON string loses its quotes; a number stays as it is written; null and NaN are missing."""
    pointer = literal("/" + key.replace("~", "~0").replace("/", "~1"))
    value = f"CAST(json_extract(line, {pointer}) AS VARCHAR)"
    nested = f"json_type(line, {pointer})"
    cell = (
        f"CASE WHEN {nested} IN ('ARRAY', 'OBJECT') OR {value} IN ({_NOT_NUMBERS}) "
        f"THEN NULL ELSE json_extract_string(line, {pointer}) END"
    )
    an_object = f"WHEN {nested} = 'OBJECT' THEN 'the object ' || left({value}, 60)"
    items = f"CAST(json_extract(line, {pointer}) AS JSON[])"
    kinds = f"list_transform({items}, lambda one: coalesce(json_type(one), 'NULL'))"
    return Column(
        name=key,
        cell=cell,
        problem=f"CASE WHEN {nested} = 'ARRAY' THEN 'the list ' || left({value}, 60) "
        f"{an_object} END",
        items=f"CASE WHEN {nested} = 'ARRAY' "
        f"THEN list_transform({items}, lambda one: one->>'$') "
        f"WHEN {cell} IS NOT NULL THEN [{cell}] END",
        items_problem=f"CASE WHEN {nested} = 'ARRAY' THEN CASE "
        f"WHEN list_has_any({kinds}, ['ARRAY', 'OBJECT', 'NULL']) OR list_has_any("
        f"list_transform({items}, lambda one: CAST(one AS VARCHAR)), [{_NOT_NUMBERS}]) "
        f"THEN 'the list ' || left({value}, 60) END {an_object} END",
    )
