"""What a request to score must be. All else is refused, with the row at fault.

MLflow answers a request without a content type with code 500, turns `inputs` that are not
strings into strings, and reads the texts `NA` and `null` of a CSV file as missing. So it gets what
was checked here: a CSV table or a list as the JSON table that it is, other JSON as it came.
"""

import codecs
import csv
import io
import json
import re
import reprlib
from collections.abc import Iterator
from typing import Any, NamedTuple

MAX_BODY_BYTES = 16 << 20  # a pod has a gigabyte of memory
JSON, CSV = "application/json", "text/csv"
TEXT = "text"  # the column that the model reads
OTHER_DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars"}
EXAMPLE = '{"dataframe_split": {"columns": ["text"], "data": [["a text"]]}}'
_CODES = {500: "INTERNAL_ERROR", 503: "TEMPORARILY_UNAVAILABLE"}
_FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")


class Refused(Exception):
    """A request that is answered with `status`, a code as MLflow has them, and a message."""

    def __init__(self, message: str, status: int = 400, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code or _CODES.get(status, "BAD_REQUEST")


class Checked(NamedTuple):
    """A request as MLflow is to see it.

    Attributes:
        rows: how many are to be answered; None where MLflow alone reads them.
        texts: of all rows, where the request holds nothing else.
    """

    body: bytes
    kind: str
    rows: int | None = None
    texts: list[str] | None = None


def checked(body: bytes, content_type: str) -> tuple[bytes, str]:
    """The body for MLflow and its content type. Raises Refused, naming the row if one is wrong."""
    found = read_request(body, content_type)
    return found.body, found.kind


def read_request(body: bytes, content_type: str) -> Checked:
    """As `checked`, with the texts where they can be answered without MLflow."""
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if not kind:
        raise Refused(f"the request has no content type; send `content-type: {JSON}`", status=415)
    if kind not in (JSON, CSV):
        return Checked(body, content_type)  # MLflow reads Parquet, and answers others with 415
    if kind == CSV:
        text = _decoded(body.removeprefix(codecs.BOM_UTF8), EXAMPLE)
        check_lines(text)
        # MLflow judges the parameters, such as a charset.
        texts = _csv_texts(text)
        kind = f"{JSON};{parameters}" if parameters else JSON
        return Checked(as_table(texts), kind, len(texts), None if parameters else texts)
    body = body.removeprefix(codecs.BOM_UTF8)
    content, text = read_json(body, EXAMPLE)
    rows = list(_rows(content))
    check_rows(rows)
    check_lines(text)
    if not isinstance(content, dict) or set(_FORMS).isdisjoint(content):
        return Checked(body, content_type)
    body = as_table(rows) if _is_list(content) else body
    texts = rows if not parameters and _is_texts_alone(content) else None
    return Checked(body, content_type, len(rows), texts)


def read_json(body: bytes, example: str) -> tuple[Any, str]:
    """The content of a body and its text, whose lines are not checked yet: a row is named first.

    Raises Refused, with an example of what to send.
    """
    text = _decoded(body.removeprefix(codecs.BOM_UTF8), example)
    try:
        return json.loads(text, object_pairs_hook=_object), text
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body is not JSON: {error}; send for example {example}") from None


def check_lines(text: str) -> None:
    """Raises Refused for a line with a byte that is not UTF-8."""
    for number, line in enumerate(text.split("\n"), start=1):
        if problem := problem_of(line):
            raise Refused(f"line {number} of the body {problem} (the first line is 1)")


def check_rows(rows: list[Any]) -> None:
    """Raises Refused for a row that is not text."""
    for number, value in enumerate(rows):
        if problem := problem_of(value):
            raise Refused(f"row {number} of the input {problem} (rows are counted from 0)")


def problem_of(value: Any) -> str:
    """Why a value is no text, to follow "row 3"; "" when it is one."""
    if not isinstance(value, str):
        return f"is {'missing' if value is None else reprlib.repr(value)}, not text"
    try:
        value.encode()
    except UnicodeEncodeError as error:
        code = ord(value[error.start])
        if 0xDC80 <= code <= 0xDCFF:
            return f"is not UTF-8: byte 0x{code - 0xDC00:02x} at position {error.start}"
        return f"is not Unicode: half a surrogate pair, U+{code:04X}, at position {error.start}"
    return ""


def as_table(texts: list[str]) -> bytes:
    """As JSON in the form that MLflow reads best."""
    table = {"columns": [TEXT], "data": [[text] for text in texts]}
    return json.dumps({"dataframe_split": table}).encode()


def _decoded(body: bytes, example: str) -> str:
    """A byte that is not UTF-8 becomes U+DC00 + byte."""
    if not body.strip():
        raise Refused(f"the body is empty; send for example {example}")
    return body.decode("utf-8", "surrogateescape")


def _is_texts_alone(content: dict[str, Any]) -> bool:
    """No other column, no parameters of the model, no index."""
    if _is_list(content):
        return True
    if set(content) == {"dataframe_split"}:
        split = content["dataframe_split"]
        return (
            isinstance(split, dict)
            and set(split) == {"columns", "data"}
            and split["columns"] == [TEXT]
            and all(isinstance(row, list) and len(row) == 1 for row in split["data"])
        )
    records = content.get("dataframe_records")
    return (
        set(content) == {"dataframe_records"}
        and isinstance(records, list)
        and all(isinstance(row, dict) and set(row) == {TEXT} for row in records)
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises Refused for a key that is there twice: of the two, json would keep the last."""
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise Refused(f"the body has the key {reprlib.repr(key)} twice in one object")
        content[key] = value
    return content


def _csv_texts(content: str) -> list[str]:
    """The column `text` as it stands there: `NA` is a text, an empty field is the empty text.

    As for `decant predict --file`, blank lines are no rows, blanks around a column's name do not
    count, and a table without rows has no texts. Other columns are ignored, as MLflow does with
    those of a JSON table.
    """
    csv.field_size_limit(MAX_BODY_BYTES)
    lines = io.StringIO(content.removeprefix("\ufeff"), newline="")
    reader = filter(None, csv.reader(lines, strict=True))
    header: list[str] = []
    texts: list[str] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        if header.count(TEXT) != 1:
            problem = f"{'more than one' if TEXT in header else 'no'} column '{TEXT}'"
            raise Refused(
                f"the CSV has {problem}; its header is {reprlib.repr(header)}"
                + _delimiter_note(content)
            )
        place, width = header.index(TEXT), len(header)
        for fields in reader:
            if len(fields) != width:
                raise csv.Error(f"{len(fields)} fields, but the header has {width}")
            texts.append(fields[place])
    except csv.Error as error:
        note = "" if header else _delimiter_note(content)
        raise Refused(
            f"row {len(texts)} of the input is not CSV: {error} (rows are counted from 0, without "
            "the header)"
            + (note or '; write a field with a comma, a quote or a line break "like ""this"""')
        ) from None
    return texts


def _delimiter_note(content: str) -> str:
    """Which other delimiter gives the column, or nothing: a server does not guess."""
    (header,) = re.findall(r"\A[\ufeff\r\n]*([^\r\n]*)", content)
    for delimiter, name in OTHER_DELIMITERS.items():
        fields = [field.strip(' "') for field in header.split(delimiter)]
        if len(fields) > 1 and TEXT in fields:
            return f"; its fields are separated by {name}, send them separated by commas"
    return ""


def _is_list(content: Any) -> bool:
    """MLflow makes an array of these in which every text has the size of the longest."""
    forms = content if isinstance(content, dict) else {}
    given = next(iter(forms.values()), None)
    return set(forms) in ({"inputs"}, {"instances"}) and isinstance(given, list | dict)


def _rows(content: Any) -> Iterator[Any]:
    """The value in place of each text; nothing where MLflow will refuse the form."""
    if not isinstance(content, dict):
        return
    split = content.get("dataframe_split")
    if isinstance(split, dict):
        yield from _rows_of_split(split)
    for key in ("dataframe_records", "inputs", "instances"):
        given = content.get(key, [])
        if isinstance(given, dict):
            _check_columns(key, given)
            column = given.get(TEXT, [])
            yield from column if isinstance(column, list) else [column]
            continue
        for row in given if isinstance(given, list) else [given]:
            yield row.get(TEXT) if isinstance(row, dict) and TEXT in row else row


def _check_columns(form: str, columns: dict[str, Any]) -> None:
    """Of columns side by side each row needs a value in each."""
    if TEXT not in columns:
        raise Refused(f"`{form}` has no column '{TEXT}'; it has {reprlib.repr(list(columns))}")
    sizes = {name: len(column) for name, column in columns.items() if isinstance(column, list)}
    if len(set(sizes.values())) > 1:
        raise Refused(f"the columns of `{form}` are not equally long: {reprlib.repr(sizes)}")


def _rows_of_split(split: dict[str, Any]) -> Iterator[Any]:
    columns, data = split.get("columns"), split.get("data")
    if not isinstance(data, list):  # MLflow would take {"0": ["a"]} for a table without rows
        raise Refused(f"dataframe_split has no list `data` of rows; send for example {EXAMPLE}")
    if not isinstance(columns, list) or TEXT not in columns:
        return
    if columns.count(TEXT) > 1:
        raise Refused(f"`columns` of dataframe_split has '{TEXT}' more than once")
    place, width = columns.index(TEXT), len(columns)
    for number, row in enumerate(data):
        if not isinstance(row, list):
            problem = f"is {reprlib.repr(row)}, not a list of values"
        elif len(row) != width:  # pandas would fill a short one up from the right
            problem = f"has {len(row)} values, but there are {width} columns"
        else:
            yield row[place]
            continue
        raise Refused(f"row {number} of the input {problem} (rows are counted from 0)")
