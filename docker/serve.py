"""The serve image's program: MLflow's scoring server for one model, in one process.

MODEL_URI   models:/NAME/VERSION or models:/NAME@ALIAS, with MLFLOW_TRACKING_URI; or a folder that
            has a model in MLflow's layout. /model in the image.
PORT        8080 in the image
HOST        0.0.0.0, all addresses, when it is not set

Routes: /ping, /health, /version, /invocations, as `mlflow models serve` has them. That command
would start a second process and not wait for its end; here SIGTERM reaches the server itself.

MLflow answers a request without a content type with code 500, turns `inputs` that are not
strings into strings, reads the texts `NA` and `null` of a CSV file as missing, and sends a stack
trace with some errors. Here Requests checks a request first and reports what is wrong, with the
row; CSV goes to MLflow as the JSON table that it is.
"""

import codecs
import csv
import gc
import io
import json
import os
import re
import reprlib
import signal
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

GRACE_SECONDS = 20  # for the open requests
MAX_BODY_BYTES = 16 << 20  # a pod has a gigabyte of memory
# Of a body that is too large so much is read without being kept: a client that is still sending
# would meet a closed connection in place of the answer.
MAX_DISCARDED_BYTES = 16 * MAX_BODY_BYTES
JSON, CSV = "application/json", "text/csv"
TEXT = "text"  # the column that the model reads
_OF_THE_BODY = (b"content-type", b"content-length")
OTHER_DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars"}
EXAMPLE = '{"dataframe_split": {"columns": ["text"], "data": [["a text"]]}}'

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def main() -> None:
    """Serve until SIGTERM, then answer the open requests, and end with code 0."""
    # The first process of a container ignores the signals that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    import uvicorn
    from mlflow.pyfunc.scoring_server import init

    app = Requests(init(_load(os.environ["MODEL_URI"])))
    gc.collect()
    gc.freeze()  # or a request may wait a third of a second for the collector
    uvicorn.run(
        app,
        host=os.environ.get("HOST", "0.0.0.0"),
        port=int(os.environ["PORT"]),
        access_log=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def is_healthy() -> None:
    """Raises OSError when the server of this container does not answer."""
    urllib.request.urlopen(f"http://127.0.0.1:{os.environ['PORT']}/ping", timeout=2).close()


class Refused(Exception):
    """A request that is answered with `status` and a message."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Requests:
    """Refuses what the model cannot answer; passes the rest to MLflow's application."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", "/invocations"):
            await self.app(scope, receive, send)
            return
        try:
            kind = dict(scope["headers"]).get(b"content-type", b"").decode("latin-1")
            body, kind = checked(await _body(receive), kind)
        except Refused as refused:
            await _answer(send, refused.status, "BAD_REQUEST", str(refused))
            return
        others = [one for one in scope["headers"] if one[0] not in _OF_THE_BODY]
        values = (kind.encode("latin-1"), str(len(body)).encode())
        scope = {**scope, "headers": [*others, *zip(_OF_THE_BODY, values, strict=True)]}
        unread = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_again() -> Message:
            return unread.pop() if unread else await receive()

        await self.app(scope, receive_again, _without_stack_traces(send))


def checked(body: bytes, content_type: str) -> tuple[bytes, str]:
    """The body for MLflow and its content type. Raises Refused, naming the row if one is wrong."""
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if not kind:
        raise Refused(f"the request has no content type; send `content-type: {JSON}`", status=415)
    if kind not in (JSON, CSV):
        return body, content_type  # MLflow reads Parquet, and answers the others with 415
    body = body.removeprefix(codecs.BOM_UTF8)
    if not body.strip():
        raise Refused(f"the body is empty; send for example {EXAMPLE}")
    text = body.decode("utf-8", "surrogateescape")  # a byte that is not UTF-8 becomes U+DC00 + byte
    if kind == CSV:
        _check_lines(text)
        # MLflow judges the parameters, such as a charset.
        return _as_table(_csv_texts(text)), f"{JSON};{parameters}" if parameters else JSON
    try:
        content = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body is not JSON: {error}; send for example {EXAMPLE}") from None
    rows = list(_rows(content))
    for number, value in enumerate(rows):
        if problem := _problem(value):
            raise Refused(f"row {number} of the input {problem} (rows are counted from 0)")
    _check_lines(text)
    return _as_table(rows) if _is_list(content) else body, content_type


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises Refused for a key that is there twice: of the two, json would keep the last."""
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in content:
            raise Refused(f"the body has the key {reprlib.repr(key)} twice in one object")
        content[key] = value
    return content


def _check_lines(text: str) -> None:
    for number, line in enumerate(text.split("\n"), start=1):
        if problem := _problem(line):
            raise Refused(f"line {number} of the body {problem} (the first line is 1)")


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


def _as_table(rows: list[str]) -> bytes:
    table = {"columns": [TEXT], "data": [[text] for text in rows]}
    return json.dumps({"dataframe_split": table}).encode()


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
            given = given.get(TEXT, [])
        for row in given if isinstance(given, list) else [given]:
            yield row.get(TEXT) if isinstance(row, dict) and TEXT in row else row


def _rows_of_split(split: dict[str, Any]) -> Iterator[Any]:
    columns, data = split.get("columns"), split.get("data")
    if not isinstance(data, list):  # MLflow would take {"0": ["a"]} for a table without rows
        raise Refused(f"dataframe_split has no list `data` of rows; send for example {EXAMPLE}")
    if not isinstance(columns, list) or TEXT not in columns:
        return
    if columns.count(TEXT) > 1:
        raise Refused(f"`columns` of dataframe_split has '{TEXT}' more than once")
    place = columns.index(TEXT)
    for row in data:
        if isinstance(row, list):
            yield row[place] if place < len(row) else None


def _problem(value: Any) -> str:
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


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    size = 0
    more = True
    while more and size <= MAX_DISCARDED_BYTES:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size <= MAX_BODY_BYTES:
            body += part
        more = message.get("more_body", False)
    if size > MAX_BODY_BYTES:
        limit = f"{MAX_BODY_BYTES:,} bytes"
        raise Refused(f"the body is larger than {limit}; send fewer texts at once", status=413)
    return bytes(body)


async def _answer(send: Send, status: int, code: str, message: str) -> None:
    body = json.dumps({"error_code": code, "message": message}).encode()
    length = str(len(body)).encode()
    headers = [(b"content-type", JSON.encode()), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _without_stack_traces(send: Send) -> Send:
    """Passes answers on; a failure with code and message only."""
    failure: dict[str, Any] = {"status": 0, "body": b""}

    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] >= 400:
            failure["status"] = message["status"]
        elif not failure["status"]:
            await send(message)
        else:
            failure["body"] += message.get("body", b"")
            if not message.get("more_body"):
                await _failure(send, failure["status"], failure["body"])

    return send_on


async def _failure(send: Send, status: int, body: bytes) -> None:
    try:
        content = json.loads(body)
        code, message = str(content["error_code"]), str(content["message"])
    except (ValueError, TypeError, KeyError):  # MLflow sends some in plain text
        code, message = "BAD_REQUEST", body.decode("utf-8", "replace")
    await _answer(send, status, code, message)


def _load(uri: str) -> object:
    from mlflow.pyfunc import load_model

    try:
        return load_model(uri)
    except Exception as error:  # MLflow's, the network's, the model's
        problem = re.sub(r"://[^/@\s]+@", "://", f"{type(error).__name__}: {error}")
        sys.exit(
            f"error[model-unreadable]: the model {uri} cannot be loaded: {problem}\n"
            "  hint: set MODEL_URI and MLFLOW_TRACKING_URI, or mount a folder with an MLflow model "
            "at /model"
        )


if __name__ == "__main__":
    is_healthy() if sys.argv[1:] == ["--is-healthy"] else main()
