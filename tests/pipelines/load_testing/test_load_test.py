"""python -m pipelines load-test as a person runs it: its table, its report, its exit code."""

import json
import re
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from components.shared.errors import UserError
from pipelines.__main__ import main
from pipelines.load_testing.server import loadable, serving
from pipelines.load_testing.startup import HEAVY, measure_startup
from tests.pipelines.load_testing.test_clients import Server, right


def load_test(*arguments: str, texts: Path, out: Path) -> str:
    words = ["load-test", "--texts", str(texts), "--out", str(out), "--seconds", "60", *arguments]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def results(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "results.json").read_text("utf-8"))
    return content


def picture_size(out: Path) -> tuple[int, int]:
    content = (out / "latency.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    file = tmp_path / "texts.csv"
    file.write_text("text,n\na good film,1\n,2\na dull film,3\n", "utf-8")
    return file


def test_several_levels_of_a_server_that_runs(texts: Path, tmp_path: Path) -> None:
    server, out = Server(right), tmp_path / "out"
    with server.running() as url:
        shown = load_test(
            *("--url", url, "--clients", "1,3", "--requests", "5", "--warmup", "0"),
            *("--batch", "2"),
            texts=texts,
            out=out,
        )
    assert len(server.asked) == 10
    assert server.asked.count(["a good film", ""]) == 6, "both levels begin with the first text"
    content = results(out)
    assert [(one["clients"], one["requests"], one["errors"]) for one in content["levels"]] == [
        (1, 5, {}),
        (3, 5, {}),
    ]
    assert content["settings"]["texts"] == 3
    assert content["settings"]["clients"] == [1, 3]
    assert content["target"] == {"url": url, "is_local": True, "model": None}
    assert content["startup"] is None
    rows = [line.split() for line in shown.splitlines() if re.match(r" +\d", line)]
    assert [row[:3] for row in rows] == [["1", "5", "0"], ["3", "5", "0"]]
    report = (out / "report.md").read_text("utf-8")
    assert re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \|", report, re.MULTILINE) == [
        ("1", "5", "0"),
        ("3", "5", "0"),
    ]
    first = content["levels"][0]["latency_ms"]
    assert f"| {first['p50']:.2f} | {first['p95']:.2f} | {first['p99']:.2f} |" in report
    assert "![latency](latency.png)" in report
    assert "## Start" not in report
    two_panels = picture_size(out)
    with server.running() as url:
        load_test("--url", url, "--clients", "2", "--requests", "5", texts=texts, out=out)
    assert picture_size(out)[0] < two_panels[0]


def test_errors_are_in_table_report_and_exit_code(texts: Path, tmp_path: Path) -> None:
    server, out = Server(lambda *_: (400, b"{}")), tmp_path / "out"
    with server.running() as url:
        words = ["--url", url, "--clients", "2", "--requests", "4", "--warmup", "0"]
        with pytest.raises(UserError, match=r"4 of 4 requests failed: HTTP 400 \(4\)"):
            load_test(*words, texts=texts, out=out)
    assert results(out)["levels"][0]["errors"] == {"HTTP 400": 4}
    assert results(out)["levels"][0]["latency_ms"] is None
    report = (out / "report.md").read_text("utf-8")
    assert "| 2 | 4 | 4 | 0.0 |  |" in report
    assert "Errors with 2 clients: HTTP 400 (4)." in report
    assert not (out / "latency.png").exists()
    assert "latency.png" not in report


def test_warm_up_does_not_count(texts: Path, tmp_path: Path) -> None:
    server = Server(right)
    with server.running() as url:
        words = ["--url", url, "--clients", "1", "--requests", "5", "--warmup", "60"]
        load_test(*words, texts=texts, out=tmp_path / "out")
    assert len(server.asked) == 10, "a warm-up has the bound on requests too"
    assert results(tmp_path / "out")["levels"][0]["requests"] == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --url and --model"),
        (["--url", "http://127.0.0.1:1", "--model", "a"], "give one of --url and --model"),
        (["--url", "http://192.0.2.1"], "192.0.2.1 .* is not this machine"),
        (["--url", "http://127.0.0.1:1"], "no server answers at http://127.0.0.1:1/invocations"),
        (["--model", "nowhere"], "there is no model at nowhere"),
        (["--url", "http://127.0.0.1:1", "--column", "x"], "has no column 'x'; it has: text, n"),
    ],
)
def test_mistakes(arguments: list[str], message: str, texts: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        load_test(*arguments, texts=texts, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("clients", ["0", "a", "1,,2", "257", "-1"])
def test_numbers_of_clients(clients: str) -> None:
    words = ["load-test", "--url", "http://127.0.0.1:1", "--clients", clients]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "numbers from 1 to 256" in result.output


@pytest.mark.slow
def test_a_server_of_its_own(tiny_exported: Path, texts: Path, tmp_path: Path) -> None:
    words = ["--model", str(tiny_exported), "--clients", "1,2", "--requests", "6", "--warmup", "0"]
    load_test(*words, texts=texts, out=tmp_path)
    content = results(tmp_path)
    for one in content["levels"]:
        assert (one["requests"], one["answers"], one["errors"]) == (6, 6, {})
        assert one["server_mib"] > 50
        assert one["server_cpu_share"] >= 0
    report = (tmp_path / "report.md").read_text("utf-8")
    assert "on top of importing MLflow" in report
    assert "libraries of the training in the process: none" in report
    assert str(tiny_exported) in report


@pytest.mark.slow
def test_loading_the_model_imports_no_torch(tiny_exported: Path) -> None:
    with loadable(str(tiny_exported)) as uri:
        found = measure_startup(uri)
    needed = {"components", "onnxruntime", "tokenizers"}
    assert set(found.modules) - {"pyarrow"} == needed, "pandas may load pyarrow for strings"
    assert not found.heavy


@pytest.mark.slow
def test_a_heavy_import_would_be_seen(tiny_exported: Path, tmp_path: Path) -> None:
    """The check above can fail: the same model, whose script imports what it should not."""
    with loadable(str(tiny_exported)) as uri:
        shutil.copytree(uri, tmp_path / "model")
    script = tmp_path / "model" / "served_model.py"
    script.write_text("import sklearn\n" + script.read_text("utf-8"), "utf-8")
    found = measure_startup(str(tmp_path / "model"))
    assert "sklearn" in HEAVY
    assert found.heavy == ("sklearn",)


@pytest.mark.slow
def test_a_server_that_cannot_start_says_why(tiny_exported: Path, tmp_path: Path) -> None:
    with loadable(str(tiny_exported)) as uri:
        shutil.copytree(uri, tmp_path / "model")
    (tmp_path / "model" / "artifacts" / tiny_exported.name / "model.onnx").write_bytes(b"no graph")
    with (
        pytest.raises(UserError, match=r"the server did not start: the model .* cannot be loaded"),
        serving(str(tmp_path / "model")),
    ):
        pass
