"""Failing steps, shared steps, and the store of artifacts, with the real ingest step."""

import dataclasses
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.study import finished_runs
from benchmarks.study.finished_runs import LARGE_BYTES, Store, threads_before
from benchmarks.study.study_plan import Plan, Study, make_plan
from benchmarks.study.tasks import Task, Work, plan_work
from benchmarks.study.trainings import run_tasks
from decant.runtime.artifacts import Card, write_card, write_json
from decant.runtime.reporter import Reporter
from decant.runtime.settings import parse
from decant.runtime.steps import load_step


def plan_of(params: dict[str, Any], data: dict[str, Any]) -> Plan:
    content = {"seeds": [1], "latency_bounds": [], "model2vec": None, "data": data, "variants": []}
    return make_plan(parse(Study, content, "study"), params)


def ingests(work: Work) -> list[Task]:
    return [task for task in work.tasks if task.step == "ingest"]


@pytest.fixture
def no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DECANT_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
@pytest.mark.usefixtures("no_cache")
def test_a_failure_is_reported_with_the_steps_message_and_the_others_go_on(
    tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    """Once a mistake that the step finds, once one that its identity cannot be known without."""
    data = {
        "column": {"ingest": {"text_column": "no_such_column"}},
        "source": {"ingest": {"source": str(tmp_path / "none.csv")}},
        "good": {},
    }
    work = plan_work(plan_of(tiny_params, data).runs)
    chosen = [task for task in work.tasks if task.step in ("ingest", "tokenize")]
    broken = [t for t in chosen if t.step == "tokenize" and t.runs[0].data != "good"]
    store = Store(tmp_path / "out", threads=1)
    failures = run_tasks(
        [task for task in chosen if task.step == "ingest" or task in broken],
        store,
        jobs=2,
        reporter=Reporter(step="study"),
    )
    by_name = {(task.runs[0].data, task.step): message for task, message in failures.items()}
    assert set(by_name) == {(d, s) for d in ("column", "source") for s in ("ingest", "tokenize")}
    assert "no_such_column" in by_name["column", "ingest"]
    assert "Traceback" not in by_name["column", "ingest"]
    assert "none.csv" in by_name["source", "ingest"]
    assert by_name["column", "tokenize"] == by_name["column", "ingest"]  # the cause, not a symptom
    good = next(task for task in ingests(work) if task.runs[0].data == "good")
    assert store.outputs(good) is not None

    # In another process, so to say: what is done is found again, by what is on the disk alone.
    again = Store(tmp_path / "out", threads=1)
    found = again.outputs(good)
    assert found is not None
    assert found.digests == json.loads((found.folder / "digests.json").read_text())
    assert again.identity(ingests(work)[0]) is not None
    assert again.outputs(ingests(work)[0]) is None

    # A port that is gone makes the step undone; a link to a large file keeps its bytes.
    (found.folder / "corpus" / "card.json").unlink()
    assert Store(tmp_path / "out", threads=1).outputs(good) is None


def test_large_files_with_the_same_bytes_are_kept_once(tmp_path: Path) -> None:
    store = Store(tmp_path, threads=1)
    artifact = tmp_path / "store" / "export_onnx" / "x" / "onnx"
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (artifact / name).mkdir(parents=True)
        (artifact / name / "large").write_bytes(content * LARGE_BYTES)
        (artifact / name / "small").write_bytes(content)
    store._link_large_files(artifact)
    a, b, c = (artifact / name / "large" for name in "abc")
    assert a.samefile(b)
    assert not a.samefile(c)
    assert [f.read_bytes()[:1] for f in (a, b, c)] == [b"1", b"1", b"2"]
    assert not (artifact / "a" / "small").samefile(artifact / "b" / "small")
    assert len(list((tmp_path / "store" / "files").iterdir())) == 2


@pytest.mark.usefixtures("no_cache")
def test_what_another_number_of_threads_made_is_named_and_not_taken(
    monkeypatch: pytest.MonkeyPatch, tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    """Of a step that depends on them: here ingest plays one, which needs no training."""
    ingest = dataclasses.replace(load_step("ingest"), threads=("torch",))
    monkeypatch.setattr(finished_runs, "load_step", lambda _: ingest)
    monkeypatch.setattr(finished_runs, "threads_of_a_process", lambda number: {"torch": number})
    (task,) = ingests(plan_work(plan_of(tiny_params, {"tiny": {}}).runs))
    of_one, of_two = Store(tmp_path, threads=1), Store(tmp_path, threads=2)
    identity = of_one.identity(task)
    assert identity is not None and identity != of_two.identity(task)
    folder = of_one.folder(task, identity)
    for port in ingest.output_ports:
        (folder / port).mkdir(parents=True)
        card = Card(
            step="ingest",
            port=port,
            identity=identity,
            varying=False,
            **{name: {} for name in ("params", "inputs", "metrics", "versions")},
        )
        write_card(folder / port, card)
    write_json(folder / "launch.json", {"jobs": 2, "threads": 1})

    assert threads_before(tmp_path) == 1, "what was begun goes on with it"
    assert threads_before(tmp_path / "new") is None
    assert of_two.outputs(task) is None
    assert of_two.finished_with_others([task]) == {1: 1}
    assert of_one.finished_with_others([task]) == {}
    assert of_one.outputs(task) is not None


def test_a_process_that_does_not_end_on_sigterm_is_killed(
    monkeypatch: pytest.MonkeyPatch, tiny_params: dict[str, Any], tmp_path: Path
) -> None:
    """An interruption must not wait for hours; the process here ignores SIGTERM."""
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf'); time.sleep(600)"
    started: list[subprocess.Popen[bytes]] = []

    class Deaf(subprocess.Popen[bytes]):
        def __init__(self, command: list[str], **_: Any) -> None:
            super().__init__([command[0], "-u", "-c", deaf], stdout=subprocess.PIPE)
            assert self.stdout and self.stdout.readline() == b"deaf\n"
            started.append(self)

    sleep = time.sleep

    def interrupt(_: float) -> None:
        monkeypatch.setattr("benchmarks.study.trainings.time.sleep", sleep)
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.study.trainings.subprocess.Popen", Deaf)
    monkeypatch.setattr("benchmarks.study.trainings.time.sleep", interrupt)
    monkeypatch.setattr("benchmarks.study.trainings._GRACE_SECONDS", 0.2)
    work = plan_work(plan_of(tiny_params, {"tiny": {}}).runs)
    with pytest.raises(KeyboardInterrupt):
        run_tasks(
            work.tasks, Store(tmp_path / "out", threads=1), jobs=1, reporter=Reporter(step="study")
        )
    assert [process.returncode for process in started] == [-9]
