"""What is seen of a local run, and what goes to its log."""

import logging
import os
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.local_run.step_output import kfp_kept, steps_shown

PATIENCE_SECONDS = 20


def append(content: bytes) -> None:
    """As a step does, in a process of its own."""
    with Path(os.environ["DECANT_OUTPUT"]).open("ab") as file:
        file.write(content)


def test_what_steps_append_is_shown_at_once_and_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ""
    with steps_shown(tmp_path):
        append(b"ingest: 12 Z")
        end = time.monotonic() + PATIENCE_SECONDS
        while "ingest" not in shown:
            assert time.monotonic() < end, "nothing is shown while the step runs"
            shown += capsys.readouterr().out
            time.sleep(0.02)
        umlaut = "ü".encode()
        append(umlaut[:1])  # a character may come in two parts
        time.sleep(0.3)
        append(umlaut[1:] + b"ge\n")
        append(b"the last words\n")
    assert shown + capsys.readouterr().out == "ingest: 12 Züge\nthe last words\n"
    assert "DECANT_OUTPUT" not in os.environ


def test_steps_draw_bars_only_on_a_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with steps_shown(tmp_path):
        assert "DECANT_OUTPUT_WIDTH" not in os.environ
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # what makes rich take any stream for a terminal
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "97")
    with steps_shown(tmp_path):
        assert os.environ["DECANT_OUTPUT_WIDTH"] == "97"
    assert "DECANT_OUTPUT_WIDTH" not in os.environ
    capsys.readouterr()
    monkeypatch.setenv("TERM", "dumb")
    with steps_shown(tmp_path):
        assert "DECANT_OUTPUT_WIDTH" not in os.environ
    assert capsys.readouterr().out == ""


def test_the_relay_ends_although_nobody_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed:
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr("pipelines.local_run.step_output.Console", lambda: Console(quiet=True))
    with steps_shown(tmp_path):
        append(b"a line\n")
        time.sleep(0.3)
        append(b"another\n")


def test_the_log_gets_what_is_printed_and_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, root = tmp_path / "kfp.log", logging.getLogger()
    handlers = list(root.handlers)
    with kfp_kept(log):
        print("Found image")
        print("no effect in the local runner", file=sys.stderr)  # as warnings are
        logging.warning("a record")
        handler = logging.StreamHandler(sys.stdout)  # as KFP makes one for each task
        root.addHandler(handler)
        logging.error("Task finished with status FAILURE")
        root.removeHandler(handler)
    content = log.read_text("utf-8")
    for part in ("Found image", "no effect in the local runner", "a record", "status FAILURE"):
        assert part in content
    assert root.handlers == handlers
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_a_failure_leaves_the_log_and_prints_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError), kfp_kept(tmp_path / "kfp.log"):
        print("Executing task")
        raise RuntimeError
    print("error: the pipeline failed")
    assert (tmp_path / "kfp.log").read_text() == "Executing task\n"
    assert capsys.readouterr().out == "error: the pipeline failed\n"
