"""One model, asked by `mlflow models serve`, by the serve image's program and by `predict`.

Scores are compared as they are printed, digit by digit. The graph is one whose scores depend on a
batch's padding, so that whoever asks it in batches is found out.
"""

import csv
import io
import json
import os
import runpy
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from components.register.registry import save_model
from decant.inference.classifier import MAX_CHARACTERS
from decant.runtime.identity import PROJECT
from decant.text_classifier import TextClassifier
from tests.components.register.test_register_servers import serving as mlflow_serving
from tests.serve_program import serving

pytestmark = pytest.mark.slow

TEXTS = [
    "a good film",
    "",
    " \t \r\n ",
    "a dull plot, a great actor",
    "dull plot " * 5000,
    "x" * MAX_CHARACTERS,
    "a\ngood\rfilm",
    'a "good" film, \\n \\u0041',
    "großartig · 素晴らしい映画 · фильм · فيلم",
    "🎬👩‍👩‍👧 a\u0301 good\u200bfilm\u2028next",
    "a\0good film",
    "NA",
    "N/A",
    "null",
    "NULL",
    "None",
    "nan",
    "<NA>",
    "5",
    "True",
    "[PAD] [CLS] a good film [SEP]",
    "a dull story of a sad, sad actor",
]
FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances", "columns", "csv")
TOO_LONG = "x" * (MAX_CHARACTERS + 1)
Answers = list[tuple[str, str]]  # labels and scores as printed


@dataclass(frozen=True)
class Model:
    """The same model: an exported folder, MLflow's folder, and a registered version."""

    exported: Path
    folder: Path
    registered: str
    store: str


@pytest.fixture(scope="module")
def model(
    tmp_path_factory: pytest.TempPathFactory, tiny_neighbourly: Path, empty_mlflow: Path
) -> Model:
    root = tmp_path_factory.mktemp("served")
    save_model(tiny_neighbourly, root / "model")
    shutil.copy(empty_mlflow, root / "mlflow.db")
    store = f"sqlite:///{root / 'mlflow.db'}"
    client = MlflowClient(store)
    client.create_registered_model("tiny")
    client.create_model_version("tiny", (root / "model").as_uri())
    client.set_registered_model_alias("tiny", "champion", "1")
    return Model(tiny_neighbourly, root / "model", "models:/tiny@champion", store)


@pytest.fixture(scope="module")
def servers(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """URLs of both servers, which run at the same time."""
    root = tmp_path_factory.mktemp("servers")
    command = ["models", "serve", "-m", model.registered, "--env-manager", "local"]
    log = root / "mlflow.log"
    with ExitStack() as stack:
        mlflow = mlflow_serving(command, log, root, MLFLOW_TRACKING_URI=model.store)
        yield {
            "mlflow": stack.enter_context(mlflow),
            "image": stack.enter_context(serving(str(model.folder))).url,
        }


def post(url: str, body: bytes, kind: str | None = "application/json") -> tuple[int, str]:
    request = urllib.request.Request(f"{url}/invocations", body)
    request.add_header("Content-Type", kind or "")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def kind_of(form: str) -> str:
    return "text/csv" if form == "csv" else "application/json"


def as_csv(rows: Iterable[list[str]]) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()


def as_form(values: list[Any], form: str) -> bytes:
    if form == "csv":
        return as_csv([["text"], *([value] for value in values)])
    body: dict[str, Any] = {
        "dataframe_split": {"columns": ["text"], "data": [[value] for value in values]},
        "dataframe_records": [{"text": value} for value in values],
        "inputs": values,
        "instances": values,
    }
    return json.dumps(
        {"inputs": {"text": values}} if form == "columns" else {form: body[form]}
    ).encode()


def answers(url: str, texts: list[str], form: str) -> Answers:
    status, content = post(url, as_form(texts, form), kind_of(form))
    assert status == 200, content
    # The score's own characters, not a number that another score may round to.
    found = json.loads(content, parse_float=str)["predictions"]
    return [(one["label"], one["score"]) for one in found]


def predict(
    model: str, store: str, *arguments: str, text: bytes = b""
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-m", "pipelines", "predict", "--model", model, *arguments],
        cwd=PROJECT,
        env={**os.environ, "MLFLOW_TRACKING_URI": store},
        input=text,
        capture_output=True,
        check=False,
    )


def lines(model: str, store: str, file: Path) -> Answers:
    done = predict(model, store, "--json", "--file", str(file))
    assert done.returncode == 0, done.stderr
    found = [json.loads(line, parse_float=str) for line in done.stdout.decode().split("\n") if line]
    assert [one["text"] for one in found] == TEXTS
    return [(one["label"], one["score"]) for one in found]


def test_all_give_the_same_answers_to_the_last_digit(
    model: Model, servers: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS), "utf-8")
    expected = lines(str(model.exported), model.store, file)
    assert len({score for _, score in expected}) > 5, "the texts have scores of their own"
    assert lines(model.registered, model.store, file) == expected
    table = file.with_suffix(".csv")
    table.write_bytes(as_form(TEXTS, "csv"))
    assert lines(str(model.exported), model.store, table) == expected
    loaded = TextClassifier.load(model.exported).predict(TEXTS)
    assert [(one.label, json.dumps(one.score)) for one in loaded] == expected
    for name, url in servers.items():
        for form in FORMS:
            assert answers(url, TEXTS, form) == expected, (name, form)
        for size in (1, 2, 7):
            starts = range(0, len(TEXTS), size)
            batches = [answers(url, TEXTS[at : at + size], "dataframe_split") for at in starts]
            assert [one for batch in batches for one in batch] == expected, (name, size)
        assert answers(url, TEXTS * 30, "dataframe_split") == expected * 30, name
        for form in ("dataframe_split", "csv"):
            assert answers(url, [], form) == [], (name, form)
    plain = predict(
        str(model.exported), model.store, text=b"a good film\n\na dull plot, a great actor\n"
    )
    shown = [line.split("\t")[:2] for line in plain.stdout.decode().splitlines()]
    assert shown == [[expected[row][0], f"{float(expected[row][1]):.6f}"] for row in (0, 1, 3)]


@pytest.mark.parametrize("server", ["mlflow", "image"])
def test_both_servers_answer_the_requests_of_the_load_test(
    server: str, servers: dict[str, str]
) -> None:
    load = runpy.run_path(str(PROJECT / "examples" / "load_requests.py"))
    status, answer = post(servers[server], next(load["bodies"](load["SAMPLES"], 5)))
    assert load["problem"](status, answer.encode(), 5) == ""
    assert load["problem"](status, answer.encode(), 4) == "5 answers to 4 texts"


@pytest.mark.parametrize("server", ["mlflow", "image"])
def test_a_csv_table_is_read_as_it_stands(server: str, servers: dict[str, str]) -> None:
    """pandas would take some words for missing."""
    texts = ["NA", "", "null", "a good, dull\nfilm", "None"]
    expected = answers(servers[server], texts, "dataframe_split")
    with_others = as_csv([["id", "text", "note"], *(["NA", text, ""] for text in texts)])
    marked = b"\xef\xbb\xbf" + as_form(texts, "csv")
    blank_lines = as_form(texts, "csv").replace(b"\r\n", b"\r\n\r\n")
    for body in (with_others, marked, blank_lines):
        for kind in ("text/csv", "text/csv; charset=utf-8"):
            status, content = post(servers[server], body, kind)
            assert status == 200, content
            found = json.loads(content, parse_float=str)["predictions"]
            assert [(one["label"], one["score"]) for one in found] == expected
    status, content = post(servers[server], marked, "text/csv; charset=latin-1")
    assert (status, "only supports UTF-8" in content) == (415, True)


@pytest.mark.parametrize("server", ["mlflow", "image"])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"text\na\nb,c\n", "row 1 of the input is not CSV: 2 fields, but the header has 1"),
        (b"text,note\na,\n\nb\n", "row 1 of the input is not CSV: 1 fields, but the header has 2"),
        (b'text\na\n"b\nc\n', "row 1 of the input is not CSV: unexpected end of data"),
        (b'text\n"a"b\n', "row 0 of the input is not CSV"),
        (b"text;note\na;b\n", "the CSV has no column 'text'; its header is ['text;note']"),
        (b"text,text\na,b\n", "the CSV has more than one column 'text'"),
    ],
)
def test_both_servers_name_the_broken_row_of_a_csv_table(
    server: str, body: bytes, message: str, servers: dict[str, str]
) -> None:
    status, content = post(servers[server], body, "text/csv")
    assert status == 400, content
    assert message in json.loads(content)["message"]
    assert "Traceback" not in content


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records"])
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (5, "is 5, not text"),
        (1.5, "is 1.5, not text"),
        (True, "is True, not text"),
        (None, "is missing, not text"),
        (["b"], "is ['b'], not text"),
        ({"b": 1}, "is {'b': 1}, not text"),
        (TOO_LONG, "is too long: 100,001 characters, at most 100,000 are allowed"),
    ],
)
def test_both_servers_name_the_row_that_is_no_text(
    value: object, problem: str, form: str, servers: dict[str, str]
) -> None:
    for url in servers.values():
        status, content = post(url, as_form(["a", value], form))
        assert status == 400, content
        assert f"row 1 of the input {problem}" in json.loads(content)["message"]
        assert "Traceback" not in content
        assert len(content) < 1000


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        (b'{"inputs": ["a", 5]}', "application/json", "row 1 of the input is 5, not text"),
        (b'{"instances": [null]}', "application/json", "row 0 of the input is missing, not text"),
        (b'{"inputs": {"text": ["a", 5]}}', "application/json", "row 1 of the input is 5"),
        (
            b'{"inputs": ["a", "caf\xe9"]}',
            "application/json",
            "row 1 of the input is not UTF-8: byte 0xe9",
        ),
        (b'{"inputs": ["a", "\\ud83d"]}', "application/json", "row 1 of the input is not Unicode"),
        (
            b'{"caf\xe9": 1}',
            "application/json",
            "line 1 of the body is not UTF-8: byte 0xe9 at position 5",
        ),
        (
            b"text\na\ncaf\xe9\n",
            "text/csv",
            "line 3 of the body is not UTF-8: byte 0xe9 at position 3",
        ),
        (b"text\n\xef\xbf\xbd\n\xff\n", "text/csv", "line 3 of the body is not UTF-8: byte 0xff"),
        (b"text\n" + TOO_LONG.encode(), "text/csv", "row 0 of the input is too long: 100,001"),
        (b"", "application/json", "the body is empty"),
        (b"  ", "text/csv", "the body is empty"),
        (b"{", "application/json", "the body is not JSON"),
        (b"[" * 100_000, "application/json", "the body is not JSON"),
        (b'["a"]', "application/json", "must be a JSON dictionary"),
        (
            b'{"dataframe_split": {"columns": ["other"], "data": [["a"]]}}',
            "application/json",
            "missing inputs ['text']",
        ),
        (b'{"inputs": "a"}', "application/json", "missing inputs ['text']"),
    ],
)
def test_the_image_says_what_is_wrong_with_a_request(
    body: bytes, kind: str, message: str, servers: dict[str, str]
) -> None:
    status, content = post(servers["image"], body, kind)
    assert status == 400, content
    found = json.loads(content)
    assert set(found) == {"error_code", "message"}
    assert message in found["message"]
    assert "Traceback" not in content


def test_the_image_refuses_other_kinds_and_sizes(servers: dict[str, str]) -> None:
    url = servers["image"]
    status, content = post(url, b"a", None)
    assert (status, "no content type" in content) == (415, True)
    status, content = post(url, b"a", "text/plain")
    assert (status, "text/csv" in content) == (415, True)
    rows = ["x" * MAX_CHARACTERS] * 200
    status, content = post(url, as_form(rows, "dataframe_split"))
    assert (status, "larger than 16,777,216 bytes" in content) == (413, True)
    assert answers(url, ["a good film"], "inputs"), "it still answers"


def test_mlflow_says_that_a_request_is_not_utf8(servers: dict[str, str]) -> None:
    for body, kind in (
        (b'{"inputs": ["caf\xe9"]}', "application/json"),
        (b"text\n\xe9", "text/csv"),
    ):
        status, content = post(servers["mlflow"], body, kind)
        assert status == 400
        assert "UnicodeDecodeError" in json.loads(content)["message"]


def test_predict_says_what_is_wrong_with_a_line(model: Model) -> None:
    for given, message in (
        (b"fine\ncaf\xe9\n", "line 2 of the input is not UTF-8: byte 0xe9 at position 3"),
        (b"fine\n" + TOO_LONG.encode(), "line 2 of the input is too long: 100,001 characters"),
    ):
        done = predict(str(model.exported), model.store, text=given)
        assert done.returncode == 2
        errors = " ".join(done.stderr.decode().split())
        assert message in errors
        assert "Traceback" not in errors
