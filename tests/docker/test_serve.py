"""docker/serve.py for real, with nothing but the packages that the serve image installs."""

import csv
import io
import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from components.register.registry import save_model
from decant.inference.csv_texts import csv_texts
from decant.runtime.identity import PROJECT
from pipelines.__main__ import main
from pipelines.commands.predict import read_file
from tests.damages import flip_a_bit
from tests.word_models import TASKS, seal, write_word_model

SERVE = PROJECT / "docker" / "serve.py"
CHECKED = runpy.run_path(str(SERVE))["checked"]
JSON, CSV = "application/json", "text/csv"
TEXTS = ["a good film", "", "dull plot " * 100, "great", "a dull story of a sad, sad actor"]

# Runs a script as an environment would that has certain distributions alone. This project is none
# of them: its modules may only come from the model.
ALONE = """
import importlib.metadata as metadata, re, runpy, sys
from packaging.requirements import Requirement

def name_of(text):
    return re.sub(r"[-_.]+", "-", text).lower()

script, *wanted = sys.argv[1].split(",")
allowed = set()
while wanted:
    name = name_of(wanted.pop())
    if name not in allowed:
        allowed.add(name)
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                wanted.append(requirement.name)
foreign = {
    module
    for module, owners in metadata.packages_distributions().items()
    if not {name_of(owner) for owner in owners} & allowed
} - {"decant"}

finders = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]

class Alone:  # finds a foreign module nowhere, as where it is not installed
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in foreign:
            return None
        return next(filter(None, (one.find_spec(name, path, target) for one in finders)), None)

    def find_distributions(self, *arguments):
        for one in finders:
            yield from getattr(one, "find_distributions", lambda *_: ())(*arguments)

sys.meta_path = [Alone()]
sys.path = [path for path in sys.path if not re.search("PROJECT", path)]
sys.argv = [script, *sys.argv[2:]]
runpy.run_path(script, run_name="__main__")
"""


def installed() -> list[str]:
    text = (PROJECT / "docker" / "Dockerfile").read_text("utf-8")
    match = re.search(r"mlflow-skinny[\w \-]+", text)
    assert match
    # The GPU build stands in for the CPU build here: the same modules, the same requirements.
    return ["onnxruntime-gpu" if name == "onnxruntime" else name for name in match[0].split()]


def command(*arguments: str) -> list[str]:
    code = ALONE.replace("PROJECT", re.escape(str(PROJECT)) + "$")
    return [sys.executable, "-P", "-c", code, ",".join([str(SERVE), *installed()]), *arguments]


def environment(**values: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "MLFLOW_DISABLE_TELEMETRY": "true", **values}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny_exported: Path) -> Path:
    """A folder as MLflow keeps a registered model."""
    folder = tmp_path_factory.mktemp("model") / "model"
    save_model(tiny_exported, folder)
    return folder


@contextmanager
def serving(
    folder: Path, log: Path, **settings: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The port and the process, once it answers; ended at once unless `settings` say otherwise."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with log.open("w") as stream:
        process = subprocess.Popen(
            command(),
            cwd=log.parent,
            stdout=stream,
            stderr=stream,
            env=environment(MODEL_URI=str(folder), PORT=port, **{"DRAIN_SECONDS": "0"} | settings),
        )
    try:
        deadline = time.monotonic() + 120
        while not answers(f"http://127.0.0.1:{port}/ready"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield port, process
    finally:
        process.kill()
        process.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def post(port: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def table_of(*texts: str) -> dict[str, Any]:
    return {"dataframe_split": {"columns": ["text"], "data": [[text] for text in texts]}}


def test_a_list_becomes_a_table_and_other_forms_pass_as_they_are() -> None:
    """MLflow makes an array of a list, in which every text takes the room of the longest."""
    table = table_of("a", "é")
    for sent in (
        {"inputs": ["a", "é"]},
        {"instances": ["a", "é"]},
        {"inputs": {"text": ["a", "é"], "other": [1, 2]}},
        {"instances": [{"text": "a"}, {"text": "é", "other": 2}]},
    ):
        body, kind = CHECKED(json.dumps(sent).encode(), JSON)
        assert (json.loads(body), kind) == (table, JSON)
    for body in (
        json.dumps(table).encode(),
        b'{"dataframe_records": [{"text": "a"}]}',
        b'{"inputs": "a"}',
        b'{"inputs": ["a"], "params": {}}',
        b"{}",
        b"[]",
    ):
        kind = f"{JSON}; charset=utf-8"
        assert CHECKED(body, kind) == (body, kind)
    parquet = (b"PAR1\xff", "application/vnd.apache.parquet")
    assert CHECKED(*parquet) == parquet


def test_csv_becomes_a_table_of_texts() -> None:
    body, kind = CHECKED(
        b'\xef\xbb\xbfid,text\r\n1,NA\r\n2,\r\n\r\n3,"a\nb"\n', f"{CSV}; charset=utf-8"
    )
    assert json.loads(body) == table_of("NA", "", "a\nb")
    assert kind == f"{JSON}; charset=utf-8"
    assert CHECKED(b"text\n", CSV.upper())[1] == JSON


def as_csv(*rows: list[str]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()


# Half a surrogate pair cannot be written as UTF-8.
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["", "NA", "null", "None", "nan", "<NA>", '"', ",", "\r", "\n", "\r\n", "\ufeff", "\0"]
)


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(ANY_TEXT), note=ANY_TEXT)
def test_any_texts_reach_the_model_from_csv_as_from_json(texts: list[str], note: str) -> None:
    """Also by the reader that a registered model brings for `mlflow models serve`."""
    alone = as_csv(["text"], *([text] for text in texts))
    with_others = as_csv(["a", "text", "b"], *([note, text, note] for text in texts))
    expected = CHECKED(json.dumps({"inputs": texts}).encode(), JSON)
    for content in (alone, with_others):
        assert CHECKED(content.encode(), CSV) == expected
        assert csv_texts(content, "text") == texts
    assert json.loads(expected[0]) == table_of(*texts)


@settings(max_examples=200, deadline=None)
@given(
    header=st.sampled_from(["", "text\n", "a,text\r\n", '"text"\r', " text ,a\n", '"a";text\n']),
    rows=st.text(alphabet='text,;"\r\nab', max_size=40),
)
def test_both_readers_of_csv_agree_on_any_table(header: str, rows: str) -> None:
    """Of the image and of a registered model: the same texts, or the same problem."""
    content = header + rows

    def outcome(read: Callable[[], object]) -> object:
        try:
            return read()
        except Exception as error:
            assert type(error).__name__ in ("Refused", "ValueError")
            return str(error)

    of_image = outcome(lambda: CHECKED(content.encode(), CSV)[0])
    of_model = outcome(lambda: csv_texts(content, "text"))
    if isinstance(of_model, list):
        of_model = json.dumps(table_of(*of_model)).encode()
    if content.strip():
        assert of_image == of_model


@pytest.mark.parametrize(
    "content",
    ["text\ngood\n\n\nbad\n", 'text\n""\n\nNA\n', " text , a\ngood,1\n", "text\n", "a,text\r\n"],
    ids=["blank lines", "empty text", "blanks in the header", "no rows", "no rows of two"],
)
def test_predict_reads_a_table_as_a_server_does(tmp_path: Path, content: str) -> None:
    file = tmp_path / "texts.csv"
    file.write_text(content, encoding="utf-8", newline="")
    texts = [text for batch in read_file(file) for text in batch]
    assert csv_texts(content, "text") == texts
    assert json.loads(CHECKED(content.encode(), CSV)[0]) == table_of(*texts)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("text;label\ngood;a\n", "semicolons"),
        ('"label"\t"text"\r\na\tgood\r\n', "tabs"),
        ("\ufeff\ntext|label\ngood|a\n", "vertical bars"),
    ],
)
def test_another_delimiter_is_named(content: str, name: str) -> None:
    with pytest.raises(Exception, match=f"separated by {name}, send them separated by commas"):
        CHECKED(content.encode(), CSV)
    with pytest.raises(ValueError, match=f"separated by {name}"):
        csv_texts(content, "text")


def test_json_that_begins_with_a_byte_order_mark_is_read() -> None:
    table = json.dumps(table_of("a")).encode()
    assert CHECKED(b"\xef\xbb\xbf" + table, JSON) == (table, JSON)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('{"dataframe_split": {"columns": ["text"], "data": {"0": ["good"]}}}', "no list `data`"),
        ('{"dataframe_split": {"columns": ["text"]}}', "no list `data`"),
        ('{"dataframe_split": {"columns": ["text", "text"], "data": [["a", "b"]]}}', "than once"),
        (
            '{"dataframe_split": {"columns": ["a", "text"], "data": [["a"]]}}',
            "row 0 .* has 1 values",
        ),
        ('{"inputs": ["a"], "inputs": ["b"]}', "the key 'inputs' twice"),
        ('{"inputs": {"text": ["a"], "text": ["b"]}}', "the key 'text' twice"),
        ('{"inputs": {"text": ["a", {"text": "b"}]}}', "row 1 of the input is {'text': 'b'}"),
        ('{"inputs": {"other": ["a"]}}', "`inputs` has no column 'text'"),
        ('{"instances": {"text": ["a", "b"], "other": ["c"]}}', "not equally long"),
        (
            '{"dataframe_split": {"columns": ["text", "b"], "data": [["a", 1], ["b"]]}}',
            "row 1 of the input has 1 values, but there are 2 columns",
        ),
        (
            '{"dataframe_split": {"columns": ["text"], "data": [["a", "b"]]}}',
            "row 0 of the input has 2 values, but there are 1 columns",
        ),
        (
            '{"dataframe_split": {"columns": ["text", "b"], "data": [{"b": "a"}]}}',
            "row 0 of the input is {'b': 'a'}, not a list of values",
        ),
    ],
)
def test_json_of_which_a_text_would_be_lost_is_refused(body: str, problem: str) -> None:
    with pytest.raises(Exception, match=problem):
        CHECKED(body.encode(), JSON)


@pytest.mark.slow
def test_it_answers_as_predict_does_and_ends_on_sigterm(
    model: Path, tmp_path: Path, tiny_exported: Path
) -> None:
    predict = ["predict", "--model", str(tiny_exported), "--json", *TEXTS]
    lines = CliRunner().invoke(main, predict, catch_exceptions=False).stdout.splitlines()
    expected = [json.loads(line) for line in lines]
    with serving(model, tmp_path / "serve.log") as (port, process):
        table = {"columns": ["text"], "data": [[text] for text in TEXTS]}
        found = post(port, {"dataframe_split": table})["predictions"]
        assert [answer["label"] for answer in found] == [line["label"] for line in expected]
        assert [answer["score"] for answer in found] == [line["score"] for line in expected]
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(port, {"inputs": {"text": [5]}})
        assert refused.value.code == 400

        healthy = subprocess.run(
            [sys.executable, str(SERVE), "--is-healthy"], env=environment(PORT=port), check=False
        )
        assert healthy.returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, (tmp_path / "serve.log").read_text()
    sick = subprocess.run(
        [sys.executable, str(SERVE), "--is-healthy"],
        env=environment(PORT=port),
        capture_output=True,
        check=False,
    )
    assert sick.returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["multi_label", "regression", "several"])
def test_it_answers_as_predict_does_for_every_kind(kind: str, tmp_path: Path) -> None:
    targets, weights = TASKS[kind]
    exported = write_word_model(tmp_path / "exported", weights, targets)
    save_model(exported, tmp_path / "model")
    predict = ["predict", "--model", str(exported), "--json", *TEXTS]
    lines = CliRunner().invoke(main, predict, catch_exceptions=False).stdout.splitlines()
    answers = [json.loads(line) for line in lines]
    with serving(tmp_path / "model", tmp_path / "serve.log") as (port, _):
        found = post(port, table_of(*TEXTS))["predictions"]
        assert [{**answer, "text": text} for answer, text in zip(found, TEXTS, strict=True)] == (
            answers
        )
        assert post(port, table_of()) == {"predictions": []}
        for wrong in (5, None, "x" * 100_001):
            with pytest.raises(urllib.error.HTTPError) as refused:
                post(port, {"dataframe_split": {"columns": ["text"], "data": [["a"], [wrong]]}})
            assert refused.value.code == 400
            assert "row 1 of the input is" in json.load(refused.value)["message"]


@pytest.mark.slow
def test_a_damaged_model_is_not_served(tmp_path: Path) -> None:
    targets, weights = TASKS["single_label"]
    save_model(seal(write_word_model(tmp_path / "exported", weights, targets)), tmp_path / "model")
    (graph,) = (tmp_path / "model").rglob("model.onnx")
    flip_a_bit(graph)
    done = subprocess.run(
        command(),
        cwd=tmp_path,
        env=environment(MODEL_URI=str(tmp_path / "model"), PORT="8080"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("error[model-unreadable]: the model") == 1
    assert "model.onnx is damaged" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_model_without_numbers_answers_with_an_error(tmp_path: Path) -> None:
    targets, weights = TASKS["single_label"]
    broken = [{**of_output, "film": float("nan")} for of_output in weights]
    save_model(write_word_model(tmp_path / "exported", broken, targets), tmp_path / "model")
    with serving(tmp_path / "model", tmp_path / "serve.log") as (port, _):
        assert post(port, table_of("good"))["predictions"][0]["label"] == "positive"
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(port, table_of("good", "a film"))
        assert refused.value.code == 500
        message = json.load(refused.value)["message"]
        assert "text 1" in message and "not finite numbers" in message


@pytest.mark.slow
def test_a_model_that_is_not_there_is_reported_without_a_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        command(),
        cwd=tmp_path,
        env=environment(MODEL_URI=str(tmp_path / "nothing"), PORT="8080"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("error[model-unreadable]: the model") == 1
    assert "hint: set MODEL_URI" in done.stderr
    assert "Traceback" not in done.stderr
