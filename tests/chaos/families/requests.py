"""Bad requests to the real serving program, over sockets; each is followed by a sound one.

A request survives where its answer is the right one, and ends in a message where it is refused with
a status and a cause. To be closed in time is a message too where no answer could be read.
"""

import json
import os
import random
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from components.register.registry import save_model
from tests.chaos.attack import TRACEBACK, Attack, Attempt, Ended, Outcome
from tests.chaos.command import environment, finished_here
from tests.chaos.families._bad_requests import (
    JSON,
    REQUESTS,
    SOUND,
    Sent,
    body_of,
    tensors,
)
from tests.serve_program import Server, serving
from tests.word_models import TASKS, seal, write_word_model

COUNT = 100
SECONDS = 40.0
WORKERS = 1

_READ_SECONDS = 1.0
_PATIENCE_SECONDS = 60.0
_OF_TENSORS = 0.15
_SETTINGS = {"READ_SECONDS": str(_READ_SECONDS), "MAX_CONNECTIONS": "60"}


@contextmanager
def arena(folder: Path) -> Iterator[Attack]:
    """One server for all attacks, with a model of classes; it gives up on slow clients soon."""
    targets, weights = TASKS["single_label"]
    exported = seal(write_word_model(folder / "exported", weights, targets))
    with patch.dict(os.environ, environment(folder)):
        saved = finished_here(lambda: save_model(exported, folder / "model"))  # MLflow is noisy
    if saved.code != 0:
        raise RuntimeError(f"no model to serve:\n{saved.output}")
    with (
        patch.dict(os.environ, environment(folder, **_SETTINGS)),
        serving(str(folder / "model")) as server,
    ):
        sound = _post(server, SOUND)

        def attack(rng: random.Random, own: Path) -> Attempt:
            return _attacked(rng, server, sound)

        yield attack


def _attacked(rng: random.Random, server: Server, sound: list[Any]) -> Attempt:
    logged = len(server.logged())
    sent = rng.choice(REQUESTS)(rng)
    if rng.random() < _OF_TENSORS:  # drawn last: the other attacks of a seed are what they were
        sent = tensors(rng)
    answers = [_answered(server, sent)] if sent.connections == 1 else _flooded(server, sent)
    wrong = next(filter(None, (wrong_in(sent, one, sound) for one in answers)), "")
    log = server.logged()[logged:]
    if not server.process.is_running() or not _is_sound(server, sound):
        wrong = "a sound request is not answered rightly afterwards"
    hung = any(one is None for one in answers)
    first = (answers[0] or b"").partition(b"\r\n")[0].decode("latin-1")
    lines = b"\n".join((one or b"")[-400:] for one in answers[:3]).decode("utf-8", "replace")
    outcome = (
        Outcome.TRACEBACK
        if TRACEBACK in log + lines
        else Outcome.HUNG
        if hung
        else Outcome.SILENT
        if wrong
        else Outcome.SURVIVED
        if " 200 " in first
        else Outcome.MESSAGE
    )
    code = int(first.split()[1]) if len(first.split()) > 1 else 0
    return Attempt(
        done=sent.done,
        outcome=outcome,
        ended=Ended(code=code, output=f"{lines}\n{log}"),
        wrong=wrong,
    )


def _answered(server: Server, sent: Sent) -> bytes | None:
    """All that comes back until the server closes; None past the patience."""
    with _connected(server) as connection:
        with suppress(OSError):  # it may be closed before all is sent
            for part in sent.parts:
                connection.sendall(part)
                time.sleep(sent.pause_seconds if len(sent.parts) > 1 else 0)
            if sent.is_cut:
                connection.shutdown(socket.SHUT_WR)
        return _read(connection)


def _flooded(server: Server, sent: Sent) -> list[bytes | None]:
    """The same on many connections at once."""
    with ExitStack() as stack:
        opened = [stack.enter_context(_connected(server)) for _ in range(sent.connections)]
        for connection in opened:
            with suppress(ConnectionError):
                connection.sendall(sent.parts[0])
        return [_read(connection) for connection in opened]


def _connected(server: Server) -> socket.socket:
    port = int(server.url.rpartition(":")[2])
    connection = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS)
    connection.settimeout(_PATIENCE_SECONDS)
    return connection


def _read(connection: socket.socket) -> bytes | None:
    """Idle connections are closed by the server after READ_SECONDS: that ends the answer too."""
    answer = b""
    try:
        while part := connection.recv(1 << 16):
            answer += part
    except TimeoutError:
        return None
    except ConnectionError:
        pass
    return answer


def wrong_in(sent: Sent, answer: bytes | None, sound: list[Any]) -> str:
    """What is wrong with one answer, or with several of one connection."""
    for one in _split(answer or b""):
        head, _, body = one.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        if status == 200 and b"predictions" in body:
            if not sent.may_be_answered:
                return "a bad request was answered"
            if json.loads(body)["predictions"] != sound:
                return "other answers than to a sound request"
        if status == 200 and b"model_name" in body:
            if not sent.may_be_answered:
                return "bad tensors were answered"
            outputs = {one["name"]: one["data"] for one in json.loads(body)["outputs"]}
            for name, data in outputs.items():
                if data != [one[name] for one in sound]:
                    return "other answers than to a sound request"
        if status >= 500 and status != 503:
            return f"status {status}: {body[:200]!r}"
        if status in (400, 413, 415, 422) and not body.strip():
            return f"status {status} without a word"
    return ""


def _split(answer: bytes) -> list[bytes]:
    """The answers of one connection."""
    return [b"HTTP/1.1 " + part for part in answer.split(b"HTTP/1.1 ") if part]


def _is_sound(server: Server, sound: list[Any]) -> bool:
    try:
        return _post(server, SOUND) == sound
    except OSError:
        return False


def _post(server: Server, texts: list[str]) -> list[Any]:
    request = urllib.request.Request(
        f"{server.url}/invocations",
        body_of(texts),
        {"content-type": JSON.decode()},
    )
    with urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS) as answer:
        return list(json.load(answer)["predictions"])
