"""The embedded store's file, when whoever makes it is killed, and when several make it at once."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from decant.tracking.embedded_store import make_store
from decant.tracking.mlflow_store import open_client

MAKE = "import sys, pathlib; from decant.tracking.embedded_store import make_store; " + (
    "make_store(pathlib.Path(sys.argv[1]))"
)


def test_a_killed_process_leaves_no_half_made_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "folder" / "mlflow.db"
    process = subprocess.Popen([sys.executable, "-c", MAKE, store])
    while not any(file.stat().st_size for file in tmp_path.glob("folder/.mlflow.db.new-*")):
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not store.exists() and list(store.parent.iterdir())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    client = open_client()
    client.create_run(client.create_experiment("decant"))
    assert [file.name for file in store.parent.iterdir()] == ["mlflow.db"]


def test_a_store_that_another_process_was_faster_with_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "mlflow.db"
    was_there = Path.exists

    def looks(path: Path) -> bool:
        """When it has looked, the other one's file appears."""
        found = was_there(path)
        if path == store and not found:
            store.write_text("another's")
        return found

    monkeypatch.setattr(Path, "exists", looks)
    make_store(store)
    assert store.read_text("utf-8") == "another's"
    assert [file.name for file in tmp_path.iterdir()] == ["mlflow.db"]
