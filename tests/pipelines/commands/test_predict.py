"""decant predict, on an exported folder; registered models are in the server tests."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from decant.inference.classifier import MAX_CHARACTERS, OnnxClassifier
from decant.runtime.errors import UserError
from decant.runtime.identity import PROJECT
from decant.tasks.answers import cells as answer_cells
from decant.tasks.answers import columns
from pipelines.__main__ import main
from pipelines.commands.predict import BATCH_TEXTS, DEFAULT_MODEL, load_model, read_lines
from tests.errors import raises
from tests.word_models import TASKS, write_word_model

SCORE = 0.982014  # 20 points on one telling word of five tokens: 1 / (1 + exp(-4))


def predict(folder: Path, *arguments: str, text: str | bytes | None = None) -> str:
    result = CliRunner().invoke(
        main, ["predict", "--model", str(folder), *arguments], input=text, catch_exceptions=False
    )
    assert result.exit_code == 0
    return result.stdout


def test_texts_of_the_command_line(tiny_exported: Path) -> None:
    answer = predict(tiny_exported, "a good film", "a dull\nfilm")
    assert answer == f"positive\t{SCORE}\ta good film\nnegative\t{SCORE}\ta dull film\n"


def test_lines_of_standard_input(tiny_exported: Path) -> None:
    answer = predict(tiny_exported, text="a good film\r\n\nünïcode\tgreat\nlast is dull")
    lines = answer.split("\n")
    assert lines[0] == f"positive\t{SCORE}\ta good film"
    assert lines[1] == "negative\t0.500000\t"
    assert lines[2].startswith("positive\t")
    assert lines[2].endswith("\tünïcode\tgreat")
    assert lines[3].startswith("negative\t")
    assert lines[4:] == [""]
    assert predict(tiny_exported, text="") == ""


def test_json_lines(tiny_exported: Path) -> None:
    lines = predict(tiny_exported, "--json", "a good film", "ü\n").splitlines()
    first, second = map(json.loads, lines)
    assert first == {
        "label": "positive",
        "score": pytest.approx(SCORE, abs=1e-6),
        "text": "a good film",
    }
    assert second["text"] == "ü\n"
    assert "ü" in lines[1]


def test_a_table_on_a_terminal(
    tiny_exported: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("NO_COLOR", "1")
    main(["predict", "--model", str(tiny_exported), "a good [film]"], standalone_mode=False)
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["label", "score", "text"]
    # 20 points on one of seven tokens: 1 / (1 + exp(-20 / 7))
    assert line.split() == ["positive", "0.9457", "a", "good", "[film]"]


OF_KINDS = {
    "single_label": (["positive", "0.982014"], {"label": "positive"}, ["positive", "0.9820"]),
    "multi_label": (
        ["joy", "joy=0.982014,grief=0.500000"],
        {"labels": ["joy"]},
        ["joy", "(0.982)"],
    ),
    "regression": (["4.000000"], {"value": 4.0}, ["4.0000"]),
    "several": (
        ["positive", "0.982014", "joy", "joy=0.982014,grief=0.500000", "4.000000"],
        {"tone_label": "positive", "emotions_labels": ["joy"], "stars_value": 4.0},
        ["positive", "0.9820", "joy", "(0.982)", "4.0000"],
    ),
}


@pytest.mark.parametrize("kind", OF_KINDS)
def test_every_kind_in_every_form(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    targets, weights = TASKS[kind]
    folder = write_word_model(tmp_path, weights, targets)
    fields, cells, row = OF_KINDS[kind]
    assert predict(folder, "a good film") == "\t".join([*fields, "a good film"]) + "\n"

    line = json.loads(predict(folder, "--json", "a good film"))
    assert line == line | cells | {"text": "a good film"}
    classifier = OnnxClassifier(folder)
    assert list(line) == [*columns(classifier.task), "text"]
    (answer,) = classifier.predict(["a good film"])
    assert line == {**answer_cells(classifier.task, answer), "text": "a good film"}

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    main(["predict", "--model", str(folder), "a good film"], standalone_mode=False)
    header, shown = capsys.readouterr().out.splitlines()
    assert header.split() == [*(name for name in line if not name.endswith("scores"))]
    assert shown.split() == [*row, "a", "good", "film"]


def test_no_label_is_an_answer(tmp_path: Path) -> None:
    targets, weights = TASKS["multi_label"]
    folder = write_word_model(tmp_path, weights, targets)
    assert predict(folder, "the film it").split("\t")[0] == ""
    assert json.loads(predict(folder, "--json", "the film it"))["labels"] == []


def test_many_lines_come_in_batches() -> None:
    lines = [f"line {number}" for number in range(3 * BATCH_TEXTS + 7)]
    batches = list(read_lines(io.BytesIO("\n".join(lines).encode())))
    assert [text for batch in batches for text in batch] == lines
    assert max(map(len, batches)) <= BATCH_TEXTS


def test_a_character_may_lie_across_two_reads() -> None:
    class Halting(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            return self.read(1)

    texts = ["ünï", "", "日本"]
    batches = list(read_lines(Halting("\n".join(texts).encode())))
    assert [text for batch in batches for text in batch] == texts


def test_a_byte_order_mark_is_no_text() -> None:
    assert list(read_lines(io.BytesIO("\ufeffa\n\ufeffb\n".encode()))) == [["a", "\ufeffb"]]


@pytest.mark.parametrize("before", [0, 3, 2 * BATCH_TEXTS])
def test_the_line_that_is_not_utf8_is_named(before: int) -> None:
    stream = io.BytesIO(b"fine\n" * before + "caf\xe9".encode("latin1") + b"\nfine\n")
    with raises("encoding-not-utf8", f"line {before + 1} ", "0xe9", "position 3"):
        list(read_lines(stream))


FILES = {
    "a.csv": 'text,film\na good film,1\n,2\n"a dull\nfilm",3\n',
    "a.tsv": "film\ttext\n1\ta good film\n2\t\n3\ta dull film\n",
    "a.jsonl": '{"text": "a good film"}\n{"text": ""}\n{"text": "a dull\\nfilm"}\n',
    "a.txt": "a good film\r\n\r\na dull film\r\n",
}


@pytest.mark.parametrize("name", FILES)
def test_rows_of_a_file(name: str, tiny_exported: Path, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(FILES[name], "utf-8")
    answer = predict(tiny_exported, "--file", str(file))
    expected = f"positive\t{SCORE}\ta good film\nnegative\t0.500000\t\n"
    assert answer == f"{expected}negative\t{SCORE}\ta dull film\n"


def test_a_missing_text_is_the_empty_one_in_every_format(
    tiny_exported: Path, tmp_path: Path
) -> None:
    """And NA, null and None are texts."""
    import pandas as pd

    texts = ["a good film", None, "NA", "null", "None", "nan", "a dull film"]
    frame = pd.DataFrame({"text": texts, "n": range(len(texts))})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    frame.to_json(tmp_path / "a.json", orient="records")
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.jsonl", "a.json", "a.parquet"):
        lines = predict(tiny_exported, "--json", "--file", str(tmp_path / name)).splitlines()
        assert [json.loads(line)["text"] for line in lines] == [text or "" for text in texts], name


def refusal(folder: Path, *arguments: str, text: str | bytes = "") -> str:
    with pytest.raises(UserError) as refused:
        command = ["predict", "--model", str(folder), *arguments]
        CliRunner().invoke(main, command, input=text, catch_exceptions=False)
    return str(refused.value)


LONG = "x" * (MAX_CHARACTERS + 1)
TOO_LONG = "too long: 100,001 characters, at most 100,000 are allowed"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text\nfine\ncaf\xe9\n", "a.csv, line 3 (the first line of the file is 1): "),
        ("a.csv", f"text\nfine\n{LONG}\n".encode(), f"a.csv, row 2 (the first is 1) is {TOO_LONG}"),
        ("a.csv", b"label\npositive\n", "a.csv has no column 'text'; it has: label"),
        ("a.csv", b"", "a.csv is empty"),
        ("a.jsonl", b'{"text": "a"}\n{"text": ["b"]}\n', "line 2 (the first is 1): column"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "\\ud83d"}\n', "a.jsonl, line 2 "),
        ("a.txt", b"fine\n\xff\n", "a.txt, line 2 "),
        ("a.tab", f"text\tx\n\t\n{LONG}\t1\n".encode(), f"row 2 (the first is 1) is {TOO_LONG}"),
        ("a.doc", b"a", "a.doc cannot be inferred"),
    ],
)
def test_a_file_that_cannot_be_used_is_reported_with_its_row(
    name: str, content: bytes, message: str, tiny_exported: Path, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    found = refusal(tiny_exported, "--file", str(file))
    assert message in found
    assert "ingest" not in found


def test_a_nested_column_is_reported(tiny_exported: Path, tmp_path: Path) -> None:
    import pandas as pd

    file = tmp_path / "a.parquet"
    pd.DataFrame({"text": [["a"], ["b"]], "n": [1, 2]}).to_parquet(file)
    found = refusal(tiny_exported, "--file", str(file))
    assert "column 'text' of a.parquet cannot be read as text: it has nested values" in found


def test_what_is_no_text_is_reported_with_its_place(tiny_exported: Path) -> None:
    missing = refusal(tiny_exported, "--file", "nowhere.csv")
    assert missing.startswith("there is no file nowhere.csv")
    assert refusal(tiny_exported, "a", "--file", "a.csv").startswith("both texts and the file")
    assert f"text 2 of the input is {TOO_LONG}" in refusal(tiny_exported, "a", LONG)
    lines = "fine\n" * BATCH_TEXTS + LONG
    assert f"line {BATCH_TEXTS + 1} of the input is {TOO_LONG}" in refusal(
        tiny_exported, text=lines
    )
    byte = os.fsdecode(b"caf\xe9")
    assert "text 1 of the input is not Unicode: byte 0xe9" in refusal(tiny_exported, byte)


def test_an_answer_does_not_depend_on_its_neighbours(tiny_neighbourly: Path) -> None:
    texts = ["a good film", "", "dull plot " * 100, "great", "a dull story of a sad, sad actor"]
    together = predict(tiny_neighbourly, "--json", *texts).splitlines()
    assert together == [predict(tiny_neighbourly, "--json", text).strip() for text in texts]
    in_one_batch = OnnxClassifier(tiny_neighbourly).predict(texts, batch_size=len(texts))
    assert in_one_batch[0].score != json.loads(together[0])["score"], "the graph shows nothing"


def test_a_missing_or_damaged_model_is_reported(
    tmp_path: Path, tiny_exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with raises("artifact-missing", "nowhere"):
        load_model("nowhere")
    with raises("artifact-missing", DEFAULT_MODEL, "dvc repro"):
        load_model(DEFAULT_MODEL)
    shutil.copytree(tiny_exported, tmp_path / "onnx" / "student")
    with raises("model-unreadable", "onnx", ": student"):
        load_model(str(tmp_path / "onnx"))
    (tmp_path / "onnx" / "student" / "model.onnx").write_bytes(b"no graph")
    with raises("model-unreadable", "student"):
        load_model(str(tmp_path / "onnx" / "student"))


def test_an_unknown_registered_model_makes_no_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    with raises("tracking-store-missing", "models:/tiny/1"):
        load_model("models:/tiny/1")
    assert not list(tmp_path.iterdir())


def test_as_a_program(tiny_exported: Path, tmp_path: Path) -> None:
    """No torch and no MLflow; answers while input is still open; one message for a mistake."""
    code = (
        "import sys\nfrom pipelines.__main__ import entry\n"
        "try:\n    entry()\nfinally:\n"
        "    assert not {'torch', 'mlflow', 'transformers', 'kfp'} & set(sys.modules)\n"
    )
    arguments = [sys.executable, "-c", code, "predict", "--model"]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    process = subprocess.Popen(
        [*arguments, str(tiny_exported)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment,
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"a good film\n")
    process.stdin.flush()
    assert process.stdout.readline().startswith(b"positive\t")
    time.sleep(0.1)
    process.stdin.write(b"caf\xe9\n")
    process.stdin.close()
    assert process.wait(30) == 2
    assert process.stderr
    message = process.stderr.read().decode()
    assert "line 2 of the input is not UTF-8" in message
    assert "Traceback" not in message
