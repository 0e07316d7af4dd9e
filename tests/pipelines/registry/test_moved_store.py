"""A checkout's local store works again after it was moved, with real files and a real database."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from decant.tracking.mlflow_store import open_client
from tests.mlflow_server import free_port
from tests.pipelines.registry.conftest import Cli, Register
from tests.spooling import logged, quiet_reporter, run_step

pytestmark = pytest.mark.slow


def locations(database: Path) -> str:
    """All of the database's content, as text."""
    with sqlite3.connect(database) as connection:
        return "\n".join(connection.iterdump())


def moved(tmp_path: Path, patch: pytest.MonkeyPatch, folder: str = "moved here") -> Path:
    """The checkout's store in another folder, whose name MLflow has to quote."""
    there = tmp_path / folder
    there.mkdir()
    for name in ("mlflow.db", "mlruns"):
        (tmp_path / name).rename(there / name)
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{there / 'mlflow.db'}")
    return there


def test_versions_work_again_after_a_move(
    register: Register, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    register(forgets=("lovely",))
    assert cli("promote", "--model", "tiny", "--version", "1").exit_code == 0
    there = moved(tmp_path, monkeypatch)
    for command in (
        ("compare", "tiny/1", "tiny/2"),
        ("promote", "--model", "tiny", "--version", "2"),
        ("predict", "--model", "models:/tiny@champion", "good"),
    ):
        lost = cli(*command)
        assert lost.exit_code == 2
        assert "error[tracking-store-moved]" in lost.output
        assert str(tmp_path / "mlruns") in lost.output
        assert "decant relocate" in lost.output
    reporter = quiet_reporter("distill")
    run_step("distill", reporter=reporter)  # goes on, and warns
    assert "decant relocate" in logged(reporter)

    done = cli("relocate")
    assert done.exit_code == 0, done.output
    assert f"locations that named {tmp_path / 'mlruns'} are here" in done.output
    written = locations(there / "mlflow.db")
    assert cli("relocate").output == "nothing to correct\n"
    assert locations(there / "mlflow.db") == written

    compared = cli("compare", "tiny/1", "tiny/2")
    assert compared.exit_code == 0, compared.output
    promoted = cli("promote", "--model", "tiny", "--version", "2")
    assert "not promoted" in promoted.output or promoted.exit_code == 0, promoted.output
    answer = cli("predict", "--model", "models:/tiny@champion", "good")
    assert answer.output.startswith("positive\t"), answer.output
    assert register(forgets=("funny",)) == "3"
    version = open_client().get_model_version("tiny", "3")
    assert (there / "mlruns").as_uri() in open_client().get_run(version.run_id).info.artifact_uri


def test_a_version_that_was_marked_as_lost_counts_again(
    register: Register, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    place = open_client().get_model_version_download_uri("tiny", "1")
    open_client().set_model_version_tag("tiny", "1", "decant.lost", place)
    moved(tmp_path, monkeypatch)
    assert cli("relocate").exit_code == 0
    assert "decant.lost" not in open_client().get_model_version("tiny", "1").tags


def test_nothing_is_changed_where_files_are_missing(
    register: Register, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    register(forgets=("lovely",))
    there = moved(tmp_path, monkeypatch)
    second = open_client().get_model_version("tiny", "2").source.rpartition("/")[2]
    shutil.rmtree(there / "mlruns" / "models" / second)
    before = locations(there / "mlflow.db")
    refused = cli("relocate")
    assert refused.exit_code == 2
    assert "error[file-missing]" in refused.output
    assert second in refused.output
    assert locations(there / "mlflow.db") == before


def test_a_copy_gets_its_own_files_and_the_original_keeps_its_own(
    register: Register, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register()
    before = locations(tmp_path / "mlflow.db")
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "mlflow.db", copy)
    shutil.copytree(tmp_path / "mlruns", copy / "mlruns")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{copy / 'mlflow.db'}")
    assert cli("predict", "--model", "models:/tiny/1", "good").exit_code == 0  # the original's
    assert cli("relocate").exit_code == 0
    assert f"{tmp_path / 'mlruns'}/" not in locations(copy / "mlflow.db")
    assert locations(tmp_path / "mlflow.db") == before


def test_a_store_that_was_not_moved_is_left_alone(
    register: Register, cli: Cli, tmp_path: Path
) -> None:
    register()
    before = locations(tmp_path / "mlflow.db")
    assert cli("relocate").output == "nothing to correct\n"
    assert locations(tmp_path / "mlflow.db") == before


@pytest.mark.parametrize("kind", ["server", "none"])
def test_what_is_not_a_local_store_is_refused(
    kind: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = f"http://127.0.0.1:{free_port()}"
    uri = server if kind == "server" else f"sqlite:///{tmp_path / 'none.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    refused = cli("relocate")
    assert refused.exit_code == 2
    code = "tracking-not-local" if kind == "server" else "tracking-store-missing"
    assert f"error[{code}]" in refused.output
    assert not (tmp_path / "none.db").exists()
