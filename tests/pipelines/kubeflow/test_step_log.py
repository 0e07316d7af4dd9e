"""What is the step's own in the log of its pod."""

import json

import pytest

from pipelines.kubeflow.step_log import LINE_CHARACTERS, read_step_log, shortened

INPUT = json.dumps({"inputs": {"parameterValues": {"a": ["}", 1]}}, "outputFile": "x"}, indent=4)
BEGIN = f"""\
I1126 11:31:20.000001      16 launcher_v2.go:193] publish success.
[KFP Executor 2026-11-26 11:31:21,000 INFO]: --component_module_path is not specified.
[KFP Executor 2026-11-26 11:31:21,001 INFO]: Got executor_input:
{INPUT}
"""
END = "E1126 11:31:47.815247      16 launcher_v2.go:449] Component failed: exit status 2\n"


def test_nothing_of_the_launcher_nor_the_echo_of_the_input() -> None:
    log = read_step_log(f"{BEGIN}}}\nread 3 rows\n\n  with blanks before\n{END}")
    assert log.lines == ("}", "read 3 rows", "", "  with blanks before")
    assert (log.error, log.last_words, log.exit_code) == ((), "", 2)


@pytest.mark.parametrize("cut", [0, 60, 180, 200, len(BEGIN) - 4, len(BEGIN) - 2])
def test_the_beginning_may_be_missing(cut: int) -> None:
    """Of a long log only the end is asked for."""
    log = read_step_log(f"{BEGIN[cut:]}one\ntwo\n{END}")
    assert log.lines[-2:] == ("one", "two")
    assert not any("outputFile" in line or "parameterValues" in line for line in log.lines[1:])


def test_an_echo_that_never_ends_swallows_nothing_else() -> None:
    begin = BEGIN.rstrip("}\n")
    log = read_step_log(f"{begin}\none\n{{\n")
    assert log.lines == ("one", "{")


def test_json_that_the_step_prints_is_its_own() -> None:
    lines = ("the result:", "{", '  "accuracy": 0.8', "}")
    assert read_step_log("\n".join(lines)).lines == lines


def test_a_library_that_warns_is_heard() -> None:
    warning = "[KFP Executor 2026-11-26 11:31:21,001 WARNING]: disk almost full"
    assert read_step_log(f"{warning}\n").lines == (warning,)


def test_colours_and_bars() -> None:
    log = read_step_log(
        "\x1b[1;36mingest\x1b[0m reads\r\n 10%\r 50%\r100% done\r\n\x1b[?25h\x07x\n"
    )
    assert log.lines == ("ingest reads", "100% done", "x")


def test_an_error_and_its_hint() -> None:
    text = (
        "first\nerror[column-unknown]: no column 'a'; it has:\n  - b\n\n  - c\n  hint: choose b\n"
    )
    log = read_step_log(f"{text}/usr/lib/x.py:3: leaked semaphores\n{END}")
    assert log.error == (
        "error[column-unknown]: no column 'a'; it has:",
        "  - b",
        "",
        "  - c",
        "  hint: choose b",
    )
    assert log.lines == ("first", "/usr/lib/x.py:3: leaked semaphores")


def test_an_error_without_a_hint() -> None:
    log = read_step_log(f"error: no\nerror[file-empty]: a.csv has no rows\n  of 2\nlast\n{END}")
    assert log.error == ("error[file-empty]: a.csv has no rows", "  of 2")
    assert log.lines == ("error: no", "last")


def test_a_traceback() -> None:
    trace = [
        "Traceback (most recent call last):",
        '  File "a.py", line 1, in <module>',
        "    1 / 0",
        "ZeroDivisionError: division by zero",
    ]
    again = [*trace[:-1], "decant.runtime.Broken: worse", "of two lines"]
    log = read_step_log("\n".join([*trace, "During handling another occurred:", *again, END]))
    assert (log.last_words, log.error) == ("decant.runtime.Broken: worse", ())
    assert log.lines[-2:] == ("decant.runtime.Broken: worse", "of two lines")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("F1126 11:31:47.8 16 main.go:130] failed to execute component: exit status 137", 137),
        ("E1126 11:31:47.8 16 launcher_v2.go:449] Component failed: signal: killed", 137),
        ("E1126 11:31:47.8 16 launcher_v2.go:449] Component failed: signal: terminated", 143),
        ("E1126 11:31:47.8 16 launcher_v2.go:449] no such file", None),
        ("I1126 11:31:47.8 16 launcher_v2.go:449] exit status 3", None),
        ("exit status 4", None),
    ],
)
def test_exit_codes(line: str, code: int | None) -> None:
    assert read_step_log(f"x\n{line}\n").exit_code == code


def test_killed_is_the_shells_word_where_the_step_was() -> None:
    killed = END.replace("status 2", "status 137")
    assert read_step_log(f"one\nKilled\n{killed}").lines == ("one",)
    assert read_step_log(f"one\nKilled\n{END}").lines == ("one", "Killed")


def test_what_was_killed_did_not_end_with_an_earlier_error() -> None:
    killed = END.replace("status 2", "status 137")
    log = read_step_log(f"error: one row is bad, skipped\nreading on\nKilled\n{killed}")
    assert (log.error, log.lines) == ((), ("error: one row is bad, skipped", "reading on"))


def test_the_launchers_own_failure() -> None:
    fatal = "F1126 11:31:47.862456      16 main.go:130] failed to upload: no such bucket\n"
    log = read_step_log(f"done\n{fatal}goroutine 1 [running]:\nmain.main()\n")
    assert log.lines == ("done",)
    assert log.last_words == "failed to upload: no such bucket"


def test_nothing_at_all() -> None:
    log = read_step_log("\n \n")
    assert (log.lines, log.error, log.last_words, log.exit_code) == ((), (), "", None)


def test_a_long_line_is_cut() -> None:
    assert shortened("x" * LINE_CHARACTERS) == "x" * LINE_CHARACTERS
    assert shortened("x" * (LINE_CHARACTERS + 1)) == "x" * (LINE_CHARACTERS - 1) + "…"
