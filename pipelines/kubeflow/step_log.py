"""What a step itself wrote into its pod's log, and how it ended.

Around it the log has lines of KFP's launcher (in the form of klog), the executor's own lines, and
an echo of the task's whole input as JSON.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.kubeflow.api_errors import printable

KILLED, TERMINATED = 137, 143  # 128 and the signal
LINE_CHARACTERS = 1000

_LAUNCHER = re.compile(
    r"(?P<level>[IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w.-]+:\d+\] (?P<text>.*)"
)
_EXECUTOR = re.compile(r"\[KFP Executor [^\]]*(INFO|DEBUG)\]: ")
_ECHO_BEGINS = "Got executor_input:"
_LAST_OF_ECHO = '"outputFile":'
_IN_ECHO = re.compile(r"[{}]$|\s")
_EXIT = re.compile(r"exit status (\d+)")
_SIGNALS = {"signal: killed": KILLED, "signal: terminated": TERMINATED}
_ERROR = re.compile(r"error(\[[a-z0-9-]+\])?: ")
_HINT = re.compile(r"  (hint|remedy): ")
_MOST_LINES_OF_AN_ERROR = 12
_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(: |$)")


@dataclass(frozen=True, kw_only=True)
class StepLog:
    """What is left of a pod's log.

    Attributes:
        lines: the step's own, without its error.
        error: the message for the user that it ended with, and its hint; empty without one.
        last_words: the last line of a traceback, or of the launcher or driver itself.
        exit_code: of the step, None where the launcher did not write it.
    """

    lines: tuple[str, ...]
    error: tuple[str, ...]
    last_words: str
    exit_code: int | None


def read_step_log(text: str) -> StepLog:
    """From a pod's log or the end of it."""
    all_lines = _lines(text)
    exit_code = _exit_code(all_lines)
    own = list(_own_lines(all_lines))
    while own and (not own[-1].strip() or (exit_code == KILLED and own[-1] == "Killed")):
        own.pop()  # the shell's word
    # What was killed did not end by itself: what looks like its error is an earlier line.
    begin, end = _error_of([] if exit_code in (KILLED, TERMINATED) else own)
    return StepLog(
        lines=tuple(own[:begin] + own[end:]),
        error=tuple(own[begin:end]),
        last_words=_exception(own) or ("" if exit_code is not None else _fatal(all_lines)),
        exit_code=exit_code,
    )


def shortened(line: str) -> str:
    return line if len(line) <= LINE_CHARACTERS else f"{line[: LINE_CHARACTERS - 1]}…"


def _lines(text: str) -> list[str]:
    """Without escape sequences; of a line that was redrawn, such as a bar, what it was at last."""
    return [printable(line.rstrip("\r").rpartition("\r")[2]) for line in text.split("\n")]


def _own_lines(lines: Sequence[str]) -> Iterator[str]:
    in_echo = False
    for line in lines[_begins_within_echo(lines) :]:
        if in_echo and _IN_ECHO.match(line):
            in_echo = line != "}"
            continue
        in_echo = line.endswith(_ECHO_BEGINS) and bool(_EXECUTOR.match(line))
        launcher = _LAUNCHER.match(line)
        if launcher and launcher["level"] == "F":
            return  # what follows are its stacks
        if not launcher and not _EXECUTOR.match(line):
            yield line


def _begins_within_echo(lines: Sequence[str]) -> int:
    """Where the step's lines begin, if the beginning of the text was cut off within the echo."""
    for place, line in enumerate(lines[1:], start=1):
        if line == "}":
            before = lines[:place]
            is_echo = any(_LAST_OF_ECHO in one for one in before) or not "".join(before).strip("} ")
            return place + 1 if is_echo else 0
        if line != "{" and not line.startswith("  "):
            break
    return 0


def _exit_code(lines: Sequence[str]) -> int | None:
    for line in reversed(lines):
        if not (launcher := _LAUNCHER.match(line)) or launcher["level"] not in "EF":
            continue
        if match := _EXIT.search(launcher["text"]):
            return int(match[1])
        for words, code in _SIGNALS.items():
            if words in launcher["text"]:
                return code
    return None


def _exception(lines: Sequence[str]) -> str:
    """Of the last traceback."""
    if _TRACEBACK not in lines:
        return ""
    after = lines[len(lines) - lines[::-1].index(_TRACEBACK) :]
    return next((line for line in after if _EXCEPTION.match(line)), "")


def _fatal(lines: Sequence[str]) -> str:
    """The launcher's or driver's own, such as an object store that takes no artifact."""
    found = (_LAUNCHER.match(line) for line in reversed(lines))
    return next((one["text"] for one in found if one and one["level"] == "F"), "")


def _error_of(lines: Sequence[str]) -> tuple[int, int]:
    """Where the last message for the user begins and ends; an empty range without one."""
    for begin in range(len(lines) - 1, -1, -1):
        if not _ERROR.match(lines[begin]):
            continue
        for end in range(begin + 1, min(len(lines), begin + _MOST_LINES_OF_AN_ERROR)):
            if _HINT.match(lines[end]):
                return begin, end + 1
        end = begin + 1
        while end < len(lines) and lines[end].startswith("  "):
            end += 1
        return begin, end
    return len(lines), len(lines)
