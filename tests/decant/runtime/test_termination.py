"""SIGTERM and Ctrl-C: one line, what was begun is taken back, the code of the signal."""

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import sys, time
from decant.runtime.ending import exit_on_error
from decant.runtime.termination import end_on_termination, says_what_is_kept
end_on_termination()
with exit_on_error(), says_what_is_kept(lambda: "nothing of it"):
    try:
        print("works", flush=True)
        time.sleep(60)
    finally:
        print("unwound", flush=True)
"""


@pytest.mark.parametrize(
    ("number", "name", "code"),
    [(signal.SIGTERM, "SIGTERM", 143), (signal.SIGINT, "Ctrl-C", 130)],
)
def test_one_line_and_the_code(number: signal.Signals, name: str, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stdout.readline() == "works\n"
        process.send_signal(number)
        output, error = process.communicate(timeout=30)
    assert process.returncode == code
    assert output == "unwound\n"
    assert error == f"ended by {name}: nothing of it\n"


AT_EXIT = """
import atexit, os, signal, time
def told():
    os.kill(os.getpid(), signal.{name})
    print("cleaned up", flush=True)
    if {again}:
        time.sleep(2.5)
        os.kill(os.getpid(), signal.{name})
        time.sleep(60)
atexit.register(told)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_after_the_work_pythons_own_end_is_not_broken_off(name: str) -> None:
    """An exception would be printed there, as one that is ignored."""
    program = AT_EXIT.format(name=name, again=False) + PROGRAM.replace("time.sleep(60)", "pass")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "works\nunwound\ncleaned up\n"


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_who_is_told_again_does_not_wait_for_it(name: str, code: int) -> None:
    program = AT_EXIT.format(name=name, again=True) + PROGRAM.replace("time.sleep(60)", "pass")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50
    )
    assert (done.returncode, done.stderr) == (code, "")


KEPT = """
import os, signal, sys, threading, time
from decant.runtime import termination
termination.GIVING_UP_SECONDS = 3.0
def library(ends):
    try:
        time.sleep(60)
    except BaseException:
        if ends:
            raise RuntimeError("Query interrupted") from None
        library(ends)
threading.Timer(0.5, os.kill, (os.getpid(), signal.{name})).start()
"""


@pytest.mark.parametrize(
    ("name", "said", "code"), [("SIGTERM", "SIGTERM", 143), ("SIGINT", "Ctrl-C", 130)]
)
@pytest.mark.parametrize("ends", [True, False])
def test_a_library_that_keeps_what_the_signal_raised(
    name: str, said: str, code: int, ends: bool
) -> None:
    """DuckDB raises an error of its own in its place; an extension may wait for ever."""
    program = KEPT.format(name=name) + PROGRAM.replace("time.sleep(60)", f"library({ends})")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50
    )
    how = "nothing of it" if ends else "it did not unwind within 3 s"
    assert (done.returncode, done.stderr) == (code, f"ended by {said}: {how}\n")
    assert done.stdout == ("works\nunwound\n" if ends else "works\n")


DROPPED = """
import os, signal, time
class Told:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        time.sleep(0.1)
"""


@pytest.mark.parametrize(
    ("name", "said", "code"), [("SIGTERM", "SIGTERM", 143), ("SIGINT", "Ctrl-C", 130)]
)
def test_a_signal_where_python_drops_what_it_raises(name: str, said: str, code: int) -> None:
    told = "Told() is None\n        time.sleep(60)"
    program = DROPPED.format(name=name) + PROGRAM.replace("time.sleep(60)", told)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50
    )
    assert (done.returncode, done.stderr) == (code, f"ended by {said}: nothing of it\n")
    assert done.stdout == "works\nunwound\n"


def test_what_python_drops_otherwise_is_shown_as_always() -> None:
    program = DROPPED.format(name="SIGTERM").replace(
        "os.kill(os.getpid(), signal.SIGTERM)", "1 / 0"
    )
    program += PROGRAM.replace("time.sleep(60)", "Told()")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "ZeroDivisionError" in done.stderr


def test_a_mistake_is_no_end_from_outside() -> None:
    program = PROGRAM.replace("time.sleep(60)", "sys.exit(2)")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "")


def test_what_calls_back_from_another_language_is_not_broken_off() -> None:
    """grimp, in Rust, reads the files of a step's code through Python."""
    program = PROGRAM.replace(
        'print("works", flush=True)\n        time.sleep(60)',
        "import grimp, os, signal\n"
        "        from decant.runtime import identity\n"
        "        build = grimp.build_graph\n"
        "        def told(*words, **more):\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "            graph = build(*words, **more)\n"
        '            print("built", flush=True)\n'
        "            return graph\n"
        "        grimp.build_graph = told\n"
        "        identity.library_closure('components.tokenize.step')\n"
        '        print("went on", flush=True)',
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 143, done.stderr
    assert done.stdout == "built\nunwound\n"
    assert done.stderr == "ended by SIGTERM: nothing of it\n"
