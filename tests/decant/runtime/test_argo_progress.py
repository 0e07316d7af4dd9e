"""The progress file of a pod of Argo: `done/total`, in step with the work."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from decant.runtime.argo_progress import ProgressFile
from decant.runtime.reporter import Reporter


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(tmp_path / "progress"))
    return tmp_path / "progress"


def reporter(**console: bool) -> Reporter:
    return Reporter(step="distill", console=Console(file=io.StringIO(), **console))


def test_a_step_in_a_pod_tells_how_far_it_is(file: Path) -> None:
    with reporter().progress("labelling", 100_000, unit="rows", done=500) as advance:
        assert file.read_text() == "500/100000\n"
        advance(99_500)
        assert file.read_text() == "100000/100000\n"


def test_it_is_written_every_few_seconds_and_at_the_end(file: Path) -> None:
    clock = {"now": 0.0}
    progress = ProgressFile(clock=lambda: clock["now"])
    seen = []
    for clock["now"], done in ((0.0, 1), (2.9, 2), (3.0, 3), (5.9, 4), (6.0, 6), (6.1, 9)):
        progress.write(done, 9)
        seen.append(file.read_text())
    assert seen == [f"{done}/9\n" for done in (1, 1, 3, 3, 6, 9)]


@pytest.mark.parametrize(("done", "text"), [(-1, "0/3\n"), (4, "3/3\n")])
def test_no_more_than_all_is_done(file: Path, done: int, text: str) -> None:
    ProgressFile().write(done, 3)
    assert file.read_text() == text


def test_work_that_cannot_be_counted_has_no_figures(file: Path) -> None:
    with reporter().activity("exporting"), reporter().progress("rows", 0):
        pass
    assert not file.exists()


def test_of_several_processes_only_the_one_that_prints(file: Path) -> None:
    with reporter(quiet=True).progress("rows", 3) as advance:
        advance(3)
    assert not file.exists()


def test_a_file_that_cannot_be_written_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARGO_PROGRESS_FILE", str(tmp_path / "missing" / "progress"))
    with reporter().progress("rows", 3) as advance:
        advance(3)
    assert not (tmp_path / "missing").exists()


def test_elsewhere_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARGO_PROGRESS_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    with reporter().progress("rows", 3) as advance:
        advance(3)
    assert not [*tmp_path.iterdir()]
