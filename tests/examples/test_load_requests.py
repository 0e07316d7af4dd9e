"""examples/: what a load consists of, and how an answer is judged. No Locust is needed here."""

import ast
import json
import runpy
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from decant.runtime.identity import PROJECT

EXAMPLES = PROJECT / "examples"


@pytest.fixture(scope="module")
def load() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / "load_requests.py"))


def test_the_locustfile_imports_what_there_is(load: dict[str, Any]) -> None:
    tree = ast.parse((EXAMPLES / "locustfile.py").read_text("utf-8"))
    compile(tree, "locustfile.py", "exec")
    imported = {
        name.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "load_requests"
        for name in node.names
    }
    assert "bodies" in imported
    assert imported <= load.keys()


def test_bodies_go_round_the_texts(load: dict[str, Any]) -> None:
    bodies = [json.loads(one) for one in islice(load["bodies"](["a", "b", "ü"], 2, start=4), 3)]
    assert bodies == [
        {"dataframe_split": {"columns": ["text"], "data": [[first], [second]]}}
        for first, second in (("b", "ü"), ("a", "b"), ("ü", "a"))
    ]


def test_the_server_takes_the_bodies(load: dict[str, Any]) -> None:
    server = runpy.run_path(str(PROJECT / "docker" / "serve.py"))
    body = load["body"](["a good film", "", "ü"])
    kind = load["HEADERS"]["Content-Type"]
    assert server["checked"](body, kind) == (body, kind)


def test_texts_and_batch_come_from_the_environment(
    load: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOAD_TEXTS", "LOAD_BATCH_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert load["read_texts"]() == list(load["SAMPLES"])
    assert load["batch_size"]() == 1
    file = tmp_path / "texts.txt"
    file.write_text("one\n\ntwo\n")
    monkeypatch.setenv("LOAD_TEXTS", str(file))
    monkeypatch.setenv("LOAD_BATCH_SIZE", "16")
    assert load["read_texts"]() == ["one", "two"]
    assert load["batch_size"]() == 16
    file.write_text("\n")
    with pytest.raises(SystemExit, match=r"texts\.txt has no line"):
        load["read_texts"]()
    for value in ("0", "-1", "many", ""):
        monkeypatch.setenv("LOAD_BATCH_SIZE", value)
        with pytest.raises(SystemExit, match=f"LOAD_BATCH_SIZE: '{value}'"):
            load["batch_size"]()


@pytest.mark.parametrize(
    ("status", "answer", "problem"),
    [
        (200, b'{"predictions": [{}, {}]}', ""),
        (200, b'{"predictions": [{}]}', "1 answers to 2 texts"),
        (200, b"<html>", "no predictions: <html>"),
        (200, b"[]", "no predictions: []"),
        (400, b'{"message": "row 0"}', 'HTTP 400: {"message": "row 0"}'),
    ],
)
def test_an_answer_is_judged(
    load: dict[str, Any], status: int, answer: bytes, problem: str
) -> None:
    assert load["problem"](status, answer, 2) == problem
