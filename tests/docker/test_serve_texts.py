"""Requests of texts alone are answered by the model itself, with the bytes of MLflow's answer."""

import asyncio
import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pytest
from mlflow.pyfunc.scoring_server import init

from components.register.registry import save_model
from decant.runtime.identity import PROJECT
from tests.word_models import TASKS, write_word_model

SERVE = runpy.run_path(str(PROJECT / "docker" / "serve.py"))
JSON, CSV = "application/json", "text/csv"
TEXTS = ["a good film", "", "caf\u00e9, dull", "NA", 'a "sad" one\nin two lines']
LONG = "x" * 100_001

Answer = tuple[int, bytes]
Ask = Callable[[Any, bytes, str], Answer]


@pytest.fixture(scope="module", params=[None, "multi_label", "regression", "several"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_exported: Path
) -> Any:
    folder = tmp_path_factory.mktemp("model")
    exported = tiny_exported
    if request.param:
        targets, weights = TASKS[request.param]
        exported = write_word_model(folder / "exported", weights, targets)
    save_model(exported, folder / "model")
    return mlflow.pyfunc.load_model(str(folder / "model"))


def ask(app: Any, body: bytes, kind: str) -> Answer:
    """What the application sends to a POST of this body."""
    scope = SERVE["scoring_scope"]((b"content-type", kind.encode()))
    unread = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return unread.pop() if unread else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


def apps(model: Any) -> tuple[Any, Any, list[int]]:
    """The server as it is, the same through MLflow alone, and how often the model was asked."""
    asked: list[int] = []
    rows = SERVE["_rows_of"](model)

    def counting(texts: list[str]) -> Any:
        asked.append(len(texts))
        return rows(texts)

    limits = SERVE["Limits"].of_environment()
    return (
        SERVE["Requests"](init(model), limits, counting),
        SERVE["Requests"](init(model), limits),
        asked,
    )


def as_json(content: Any) -> bytes:
    return json.dumps(content).encode()


def split(texts: list[str], **more: Any) -> bytes:
    table = {"columns": ["text"], "data": [[text] for text in texts]}
    return as_json({"dataframe_split": table | more})


def test_texts_alone(model: Any) -> None:
    here, through_mlflow, asked = apps(model)
    for body, kind in (
        (split(TEXTS), JSON),
        (split([]), JSON),
        (as_json({"dataframe_records": [{"text": text} for text in TEXTS]}), JSON),
        (as_json({"inputs": TEXTS}), JSON),
        (as_json({"instances": TEXTS}), JSON),
        (as_json({"inputs": {"text": TEXTS}}), JSON),
        (b'text\na good film\n\nNA\n"two\nlines"\n', CSV),
        (split(["many words"] * 7000), JSON),  # too large to be answered between others
    ):
        before = len(asked)
        found = ask(here, body, kind)
        assert found == ask(through_mlflow, body, kind)
        assert found[0] == 200
        assert len(asked) == before + 1, body[:80]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (split(TEXTS, index=[5, 6, 7, 8, 9]), JSON),
        (as_json({"dataframe_records": [{"text": "a", "other": 1}]}), JSON),
        (as_json({"inputs": TEXTS, "params": {"a": 1}}), JSON),
        (split(TEXTS), f"{JSON}; charset=utf-8"),
        (as_json({"dataframe_split": {"columns": ["text"], "data": [["a", "b"]]}}), JSON),
        (as_json({"dataframe_split": {"columns": ["words"], "data": [["a"]]}}), JSON),
        (b"{}", JSON),
    ],
)
def test_what_holds_more_goes_through_mlflow(model: Any, body: bytes, kind: str) -> None:
    here, through_mlflow, asked = apps(model)
    assert ask(here, body, kind) == ask(through_mlflow, body, kind)
    assert asked == []


def test_a_refusal_is_mlflows_own(model: Any) -> None:
    here, through_mlflow, asked = apps(model)
    status, content = ask(here, split(["fine", LONG]), JSON)
    assert (status, content) == ask(through_mlflow, split(["fine", LONG]), JSON)
    assert status == 400
    assert "row 1" in json.loads(content)["message"]
    assert asked == [2]


def test_a_model_of_before_is_answered_by_mlflow(model: Any) -> None:
    class Former:
        def unwrap_python_model(self) -> object:
            return object()

    class Other:
        def unwrap_python_model(self) -> object:
            raise AttributeError("not a Python model")

    assert SERVE["_rows_of"](Former()) is SERVE["_rows_of"](Other()) is None
    assert SERVE["_rows_of"](model) is not None
