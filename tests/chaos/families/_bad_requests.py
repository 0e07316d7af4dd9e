"""Requests that a serving program should not get, each by a function of the random numbers."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SOUND = ["a good film", "a dull story", ""]
JSON = b"application/json"
_MANY = 150


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What one connection sends.

    Attributes:
        parts: sent one after the other, with a pause between them.
        may_be_answered: it holds the texts of a sound request, and has their answers or none.
        is_cut: the client closes its side after it.
    """

    done: str
    parts: list[bytes]
    may_be_answered: bool = False
    is_cut: bool = False
    pause_seconds: float = 0.05
    connections: int = 1


def body_of(texts: list[Any]) -> bytes:
    return json.dumps(
        {"dataframe_split": {"columns": ["text"], "data": [[text] for text in texts]}}
    ).encode()


def _head(
    length: int | str | None,
    kind: bytes = JSON,
    more: bytes = b"",
    *,
    ends: bool = True,
    path: bytes = b"/invocations",
) -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"host: a", b"content-type: " + kind]
    lines += [] if length is None else [f"content-length: {length}".encode()]
    lines += [b"connection: close"] if ends else []
    return b"\r\n".join([*lines, more]) + b"\r\n"


def _whole(body: bytes, kind: bytes = JSON) -> bytes:
    return _head(len(body), kind) + body


def cut_body(rng: random.Random) -> Sent:
    body = body_of(SOUND)
    kept = rng.randrange(len(body))
    is_cut = rng.random() < 0.5
    how = "the client closes" if is_cut else "the client waits"
    return Sent(
        done=f"the body cut after {kept} of {len(body)} bytes, {how}",
        parts=[_head(len(body)) + body[:kept]],
        is_cut=is_cut,
    )


def wrong_length(rng: random.Random) -> Sent:
    body = body_of(SOUND)
    stated: Any = rng.choice(
        [0, len(body) // 2, len(body) + 100, -1, 10**18, "many", "", "0x10", "1e3", "12, 13"]
    )
    return Sent(done=f"content-length {stated!r}", parts=[_head(stated) + body], is_cut=True)


def slow_body(rng: random.Random) -> Sent:
    request = _whole(body_of(SOUND))
    at = rng.randrange(10, len(request) - 10)
    parts = [request[:at], *(request[n : n + 1] for n in range(at, at + 8))]
    return Sent(
        done=f"byte by byte from byte {at} on, and then nothing", parts=parts, pause_seconds=0.2
    )


def deep_json(rng: random.Random) -> Sent:
    depth = rng.choice([100, 1000, 100_000, 1_000_000])
    opened, closed = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    inner = opened * depth + b"1" + closed * depth
    body = rng.choice([inner, b'{"inputs": ' + inner + b"}"])
    return Sent(done=f"JSON {depth} levels deep", parts=[_whole(body)])


def odd_values(rng: random.Random) -> Sent:
    """Numbers, objects and halves of characters in place of a text."""
    value = rng.choice(
        [
            b"NaN",
            b"Infinity",
            b"-Infinity",
            b"1e400",
            b"9" * 5000,
            b"5",
            b"true",
            b"[]",
            b"{}",
            b"null",
            b'"\\ud800"',
            b'["a"]',
            b'{"text": "a"}',
            b"-0",
            b"1.5",
        ]
    )
    form = rng.choice(
        [
            b'{"dataframe_split": {"columns": ["text"], "data": [["good"], [@]]}}',
            b'{"dataframe_records": [{"text": "good"}, {"text": @}]}',
            b'{"inputs": ["good", @]}',
            b'{"instances": [{"text": "good"}, {"text": @}]}',
            b'{"inputs": {"text": ["good", @]}}',
        ]
    )
    return Sent(
        done=f"{value[:20].decode()} in {form.decode()}", parts=[_whole(form.replace(b"@", value))]
    )


def wrong_type(rng: random.Random) -> Sent:
    body = rng.choice(
        [
            b"",
            b" ",
            b"[]",
            b"{}",
            b"5",
            b'"text"',
            b"null",
            b"NaN",
            b"\x00" * 50,
            b'{"inputs": 5}',
            b'{"inputs": null}',
            b'{"dataframe_split": []}',
            b'{"dataframe_split": {"data": 5}}',
            b'{"dataframe_split": {"columns": "text", "data": [["a"]]}}',
            b'{"dataframe_split": {"columns": ["other"], "data": [["a"]]}}',
            b'{"dataframe_split": {"columns": ["text"], "data": [["a", "b"], ["c"]]}}',
            b'{"inputs": ["a"], "instances": ["b"]}',
            b'{"inputs": ["a"], "inputs": ["b"]}',
        ]
    )
    return Sent(done=f"the body {body[:70]!r}", parts=[_whole(body)])


def wrong_kind(rng: random.Random) -> Sent:
    kind = rng.choice(
        [
            b"text/plain",
            b"application/xml",
            b"",
            b"application/json; charset=latin-9",
            b"\xff\xfe",
            b"multipart/form-data",
            b"text/csv",
            b"application/vnd.apache.parquet",
            b"a" * 5000,
            b"application/json; charset=utf-16",
            b"application/pickle",
            b"application/json, text/csv",
        ]
    )
    return Sent(
        done=f"the content type {kind[:40]!r}",
        parts=[_whole(body_of(SOUND), kind)],
        may_be_answered=kind.startswith(JSON),
    )


def no_kind(rng: random.Random) -> Sent:
    body = body_of(SOUND)
    head = b"POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body)
    return Sent(done="no content type", parts=[head + body], is_cut=True)


def bad_utf8(rng: random.Random) -> Sent:
    noise = rng.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x80abc", b"\xf8\x88\x80\x80\x80"])
    kind = rng.choice([JSON, b"text/csv"])
    body = b'{"inputs": ["good ' + noise + b'"]}' if kind == JSON else b"text\ngood " + noise
    return Sent(done=f"{noise!r} in {kind.decode()}", parts=[_whole(body, kind)])


def headers(rng: random.Random) -> Sent:
    body = body_of(SOUND)
    how, more = rng.choice(
        [
            ("5,000 headers", b"".join(b"x-%d: a\r\n" % n for n in range(5000))),
            ("a header of a megabyte", b"x: " + b"a" * (1 << 20) + b"\r\n"),
            ("a header without a colon", b"nonsense\r\n"),
            ("a header with a null byte", b"x: a\x00b\r\n"),
            ("a folded header", b"x: a\r\n b\r\n"),
            ("length and chunks", b"transfer-encoding: chunked\r\n"),
            ("an unknown transfer", b"transfer-encoding: gzip\r\n"),
            ("two lengths", b"content-length: 5\r\n"),
            ("a wish to go on", b"expect: 100-continue\r\n"),
            ("a change of protocol", b"upgrade: h2c\r\nconnection: upgrade\r\n"),
        ]
    )
    may_answer = how in ("a wish to go on", "a change of protocol", "a folded header")
    return Sent(
        done=how,
        parts=[_head(len(body), more=more) + body],
        may_be_answered=may_answer,
        is_cut=True,
    )


def chunks(rng: random.Random) -> Sent:
    body = body_of(SOUND)
    sound = b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    how, sent = rng.choice(
        [
            ("sound chunks", sound),
            ("a chunk of a wrong size", b"%x\r\n" % (len(body) + 9) + body + b"\r\n0\r\n\r\n"),
            ("a chunk of a negative size", b"-5\r\n" + body + b"\r\n0\r\n\r\n"),
            ("a chunk of an endless size", b"f" * 40 + b"\r\n" + body),
            ("no last chunk", sound[:-5]),
            ("no size", b"\r\n" + sound),
        ]
    )
    head = _head(None, more=b"transfer-encoding: chunked\r\n")
    is_sound = how == "sound chunks"
    return Sent(done=how, parts=[head + sent], may_be_answered=is_sound, is_cut=True)


def pipelined(rng: random.Random) -> Sent:
    number = rng.choice([2, 20, 200])
    body = body_of(SOUND)
    one = _head(len(body), ends=False) + body
    return Sent(
        done=f"{number} sound requests at once on one connection",
        parts=[one * (number - 1) + _whole(body)],
        may_be_answered=True,
    )


def many_connections(rng: random.Random) -> Sent:
    body = body_of(SOUND)
    how, sent = rng.choice(
        [
            ("nothing", b""),
            ("half a head", b"POST /invocations HTTP/1.1\r\n"),
            ("half a body", _head(len(body)) + body[:9]),
            ("a sound request each", _whole(body)),
        ]
    )
    return Sent(
        done=f"{_MANY} connections with {how}",
        parts=[sent],
        may_be_answered=how == "a sound request each",
        connections=_MANY,
    )


def wrong_method(rng: random.Random) -> Sent:
    method = rng.choice([b"GET", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"TRACE", b"CONNECT"])
    path = rng.choice([b"/invocations", b"/../../etc/passwd", b"/" + b"a" * 100_000, b"*", b"/%00"])
    request = method + b" " + path + b" HTTP/1.1\r\nhost: a\r\n\r\n"
    return Sent(done=f"{method.decode()} {path[:30].decode()}", parts=[request], is_cut=True)


def no_http(rng: random.Random) -> Sent:
    sent = rng.choice(
        [
            b"\x16\x03\x01\x02\x00\x01\x00",
            b"\x00" * 1000,
            b"\r\n" * 1000,
            b"SSH-2.0-x\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /invocations\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            rng.randbytes(2000),
        ]
    )
    return Sent(done=f"{sent[:20]!r} in place of HTTP", parts=[sent], is_cut=True)


def large(rng: random.Random) -> Sent:
    how, body = rng.choice(
        [
            ("a body of 20 MB", body_of(["a" * (20 << 20)])),
            ("a text of 200,000 characters", body_of(["good", "a " * 100_000])),
            ("a line of 3 million characters", b"text\n" + b"a" * 3_000_000),
        ]
    )
    kind = b"text/csv" if body.startswith(b"text") else JSON
    return Sent(done=how, parts=[_whole(body, kind)])


def tensors(rng: random.Random) -> Sent:
    """Of the Open Inference Protocol: damaged ones, and a sound one."""
    tensor: dict[str, Any] = {"name": "text", "shape": [3], "datatype": "BYTES", "data": SOUND}
    content: dict[str, Any] = {"id": "a", "inputs": [tensor]}
    odd = rng.choice(
        [None, 5, -1, True, 10**400, "text", [], {}, ["a"], [["a"]], [10**18], "\ud800"]
    )
    at = rng.choice(["nothing", "a byte", *tensor, *content, "outputs", "parameters"])
    if at in tensor or at == "parameters":
        tensor[at] = odd
    elif at in ("id", "inputs", "outputs"):
        content[at] = odd
    body = json.dumps(content).encode()
    if at == "a byte":
        place = rng.randrange(len(body))
        body = body[:place] + rng.choice([b"\0", b"\xff"]) + body[place + 1 :]
    name = rng.choice(
        [b"model", b"model", b"model", b"another", b"model/versions/9", b"%2e%2e", b""]
    )
    path = b"/v2/models/" + name + b"/infer"
    # Some of these values are sound: an id is any text, no list of outputs means all.
    may_be = name == b"model" and at in ("nothing", "id", "outputs", "parameters", "name")
    return Sent(
        done=f"{odd!r:.30} as {at} of tensors to {path.decode()}",
        parts=[_head(len(body), path=path) + body],
        may_be_answered=may_be,
    )


REQUESTS: list[Callable[[random.Random], Sent]] = [
    cut_body,
    wrong_length,
    slow_body,
    deep_json,
    odd_values,
    odd_values,
    wrong_type,
    wrong_type,
    wrong_kind,
    no_kind,
    bad_utf8,
    headers,
    chunks,
    pipelined,
    many_connections,
    wrong_method,
    no_http,
    large,
]
