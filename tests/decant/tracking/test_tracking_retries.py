"""A step whose MLflow server is in trouble for a moment, and one whose server stays so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from decant.runtime.log_lines import logged_by
from decant.tracking import tracked_step as tracking
from decant.tracking.spool import Spool, spool_uri
from tests.mlflow_server import Trouble, serving_sqlite, troubled
from tests.spooling import Store, run_step

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server; its URL."""
    with serving_sqlite(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture
def trouble(
    mlflow: str, mlflow_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Trouble]:
    """What is in the way to the server, without attempts of MLflow's own client."""
    monkeypatch.setattr("decant.runtime.retrying.FIRST_SECONDS", 0.01)
    monkeypatch.setenv("DECANT_RETRY_SECONDS", "0.5")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", tmp_path.name)
    found = Trouble()
    with troubled(found, mlflow) as url:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        yield found


def statuses() -> list[str]:
    """Of the runs of the test's experiment, the parent's first."""
    from decant.tracking.mlflow_store import experiment_name, open_client

    client = open_client()
    experiment = client.get_experiment_by_name(experiment_name())
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"])
    return [run.info.status for run in found]


@pytest.mark.parametrize("after", [0, 3, 6, 12, 20])
def test_a_moment_of_trouble_costs_a_line_and_no_run(
    trouble: Trouble, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever in the step it comes: two requests after so many fail."""
    passed = 0
    take = trouble.take

    def take_after() -> bool:
        nonlocal passed
        passed += 1
        if passed == after + 1:
            trouble.left = 2
        return take()

    monkeypatch.setattr(trouble, "take", take_after)
    lines: list[str] = []
    with logged_by(lines.append):
        run = run_step("distill")
    assert trouble.answered == 2
    assert run.run_id
    assert 1 <= len(lines) <= 2
    assert all("MLflow failed (" in line for line in lines)
    assert Spool(spool_uri()).runs() == []
    assert statuses() == ["FINISHED", "FINISHED"]


def test_lasting_trouble_ends_in_the_spool(trouble: Trouble) -> None:
    trouble.left = 10_000
    lines: list[str] = []
    with logged_by(lines.append):
        run = run_step("distill")
    assert run.run_id == "" and lines
    assert len(Spool(spool_uri()).runs()) == 1


def test_the_patience_of_a_step_bounds_the_pauses(
    trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "PAUSES_SECONDS", 0.0)
    trouble.left = 10_000
    lines: list[str] = []
    with logged_by(lines.append):
        run_step("distill")
        assert lines == []
        run_step("register")  # it needs MLflow, and is as patient as a download
    assert lines
