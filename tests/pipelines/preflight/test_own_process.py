"""A check in another process: its result, its end without one, and what this one loads."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.preflight.own_process import own_process

CHECKS = """
import sys
NAME = "letters"
LIBRARIES = ("wave",)

def count(text):
    from pipelines.preflight.check_result import Result
    assert "wave" in sys.modules
    print("noise")
    if text == "wrong":
        raise ValueError("no letters")
    if text == "dead":
        print("killed", file=sys.stderr)
        sys.stderr.flush()
        import os
        os._exit(9)
    return Result(name=NAME, status="ok", detail=f"{len(text)} of '{text}'")
"""


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "letter_checks.py").write_text(CHECKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "letter_checks"


def test_the_result_comes_back_and_the_library_does_not(checks: str) -> None:
    sys.modules.pop("wave", None)
    with own_process(checks, "count") as count:
        result = count("añb")
    assert (result.name, result.status, result.detail) == ("letters", "ok", "3 of 'añb'")
    assert "wave" not in sys.modules


def test_an_error_of_the_check_is_a_failed_one(checks: str) -> None:
    with own_process(checks, "count") as count:
        result = count("wrong")
    assert (result.status, result.detail) == ("failed", "ValueError: no letters")


def test_a_process_that_dies_is_an_error_with_its_last_line(checks: str) -> None:
    with own_process(checks, "count") as count, pytest.raises(ChildProcessError) as error:
        count("dead")
    assert str(error.value) == "count ended with code 9: killed"


def test_a_process_that_nobody_calls_ends(checks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    class Watched(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, **named)  # type: ignore[call-overload]
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    with own_process(checks, "count"):
        pass
    assert started[0].poll() is not None
