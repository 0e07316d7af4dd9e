"""Which run a command goes on with."""

import os
import time
from pathlib import Path

from decant.runtime.process import this_process
from pipelines.local_run.unfinished_run import (
    FOLDER,
    LocalRun,
    begin,
    digest_of,
    unfinished,
    write_state,
)
from tests.errors import raises

_, _, HOST = this_process().as_tag().split(" ", 2)
DEAD = f"{os.getpid()} 1.0 {HOST}"  # its number is another process's now
ALIVE = this_process().as_tag()
ELSEWHERE = "1 1.0 another machine"


def leave(output: Path, process: str, *, asked: str = "asked", hours_ago: float = 0) -> None:
    root = output / FOLDER
    root.mkdir(parents=True)
    write_state(root, LocalRun(run_id=output.name, asked=asked, process=process))
    before = time.time() - hours_ago * 3600
    os.utime(root / "run.json", (before, before))


def test_the_newest_that_asked_for_the_same_and_whose_process_is_gone(tmp_path: Path) -> None:
    leave(tmp_path / "older", DEAD, hours_ago=2)
    leave(tmp_path / "newer", DEAD, hours_ago=1)
    leave(tmp_path / "runs", ALIVE)
    leave(tmp_path / "other", DEAD, asked="something else")
    leave(tmp_path / "elsewhere", ELSEWHERE, hours_ago=0.5)
    (tmp_path / "torn" / FOLDER).mkdir(parents=True)
    (tmp_path / "torn" / FOLDER / "run.json").write_text('{"run_id": ')
    (tmp_path / "file").write_text("")
    found = unfinished(tmp_path.iterdir(), "asked")
    assert found and (found[0].name, found[1].run_id) == ("newer", "newer")
    assert unfinished([tmp_path / "runs", tmp_path / "none"], "asked") is None


def test_of_another_machine_after_a_day(tmp_path: Path) -> None:
    leave(tmp_path / "elsewhere", ELSEWHERE, hours_ago=25)
    assert unfinished([tmp_path / "elsewhere"], "asked")


def test_one_process_alone_goes_on(tmp_path: Path) -> None:
    one, two = (LocalRun(run_id=name, asked="asked") for name in ("one", "two"))
    with begin(tmp_path, one), raises("output-taken", str(tmp_path.parent)):
        begin(tmp_path, two)
    with begin(tmp_path, two):
        pass


def test_what_asks_for_the_same() -> None:
    asked = digest_of({"ingest_params": "{}"}, None, False)
    assert asked == digest_of({"ingest_params": "{}"}, None, False)
    for other in (
        digest_of({"ingest_params": '{"a":1}'}, None, False),
        digest_of({"ingest_params": "{}"}, "image:1", False),
    ):
        assert asked != other
