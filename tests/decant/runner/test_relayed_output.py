"""A step's output goes to the file that its caller names; what is KFP's stays where it was."""

import os
import subprocess
import sys
from pathlib import Path

from decant.runtime.identity import PROJECT

STEP = """
import logging, subprocess, sys
from rich.console import Console
from decant.runner.relayed_output import is_relayed, relayed_output

logging.basicConfig(stream=sys.stdout, format="[executor] %(message)s", level=logging.INFO)
print("before")
with relayed_output("finetune"):
    print("step's output", is_relayed())
    print("step's error", file=sys.stderr)
    print("terminal", Console().is_terminal, Console().width)
    subprocess.run([sys.executable, "-c", "print('a process of the step')"])
    logging.info("a library's note")
    BODY
print("after")
logging.info("wrote")
"""


def run_step(body: str = "pass", **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", STEP.replace("BODY", body)],
        env={**inherited, "PYTHONPATH": str(PROJECT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def relayed(tmp_path: Path, body: str = "pass", **environment: str) -> tuple[str, str, int]:
    """What the file got, what standard output and error got, and the exit code."""
    file = tmp_path / "steps.out"
    file.write_text("ingest\n")
    done = run_step(body, DECANT_OUTPUT=str(file), **environment)
    return file.read_text("utf-8"), done.stdout + done.stderr, done.returncode


def test_the_steps_output_goes_to_the_file(tmp_path: Path) -> None:
    shown, kept, code = relayed(tmp_path)
    lines = shown.splitlines()
    assert code == 0
    assert lines[:2] == ["ingest", "[3/8] finetune"]
    assert lines[2:-1] == [
        "step's output True",
        "step's error",
        "terminal False 80",
        "a process of the step",
    ]
    assert lines[-1].startswith("[3/8] finetune done in ")
    assert kept.splitlines() == [
        "before",
        "[executor] a library's note",
        "after",
        "[executor] wrote",
    ]


def test_a_terminal_of_the_caller_is_the_steps(tmp_path: Path) -> None:
    shown, _, _ = relayed(tmp_path, DECANT_OUTPUT_WIDTH="123", TERM="xterm")
    assert "terminal True 123\n" in shown


def test_a_message_for_the_user_is_shown(tmp_path: Path) -> None:
    body = "print('error: no such column', file=sys.stderr); sys.exit(2)"
    shown, kept, code = relayed(tmp_path, body)
    assert code == 2
    first, last = shown.splitlines()[-2:]
    assert first == "error: no such column"
    assert last.startswith("[3/8] finetune failed after ")
    assert "no such column" not in kept


def test_a_traceback_is_shown_too(tmp_path: Path) -> None:
    shown, kept, code = relayed(tmp_path, "1 / 0")
    assert code == 1
    assert shown.endswith("ZeroDivisionError: division by zero\n")
    assert "Traceback" not in kept


def test_an_interruption_needs_no_traceback(tmp_path: Path) -> None:
    shown, kept, code = relayed(tmp_path, "raise KeyboardInterrupt")
    assert code != 0
    assert shown.splitlines()[-1].startswith("[3/8] finetune interrupted after ")
    assert "Traceback" in kept


def test_without_the_variable_nothing_changes() -> None:
    done = run_step()
    assert {"before", "step's output False", "a process of the step"} < set(
        done.stdout.splitlines()
    )
    assert done.stderr == "step's error\n"
    assert "finetune" not in done.stdout
