"""A tracking store that can go away and come back, and steps that log something of everything."""

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from decant.runtime.reporter import Reporter
from decant.tracking.mlflow_store import open_client
from decant.tracking.record import RunRecord
from decant.tracking.spool import Spool, spool_uri
from decant.tracking.tracked_step import Origin, StepRun, tracked_step


@dataclass(frozen=True)
class Params:
    epochs: int = 2
    rate: float = 0.5


@dataclass(frozen=True)
class Store:
    """An SQLite store in a folder."""

    folder: Path
    params: Params = Params()

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder / 'mlflow.db'}"

    @contextmanager
    def away(self) -> Iterator[None]:
        database, kept = self.folder / "mlflow.db", self.folder / "kept.db"
        database.rename(kept)
        database.write_text("no database")
        self._disconnect()
        try:
            yield
        finally:
            kept.replace(database)
            self._disconnect()

    def _disconnect(self) -> None:
        """MLflow keeps connections open, which a file that is moved takes with it."""
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        if engine := SqlAlchemyStore._engine_map.get(self.uri):
            engine.dispose()

    def runs(self) -> list[Any]:
        """All runs, by the time at which they began."""
        client = open_client()
        if not (experiment := client.get_experiment_by_name("decant")):
            return []
        found = client.search_runs(
            [experiment.experiment_id], order_by=["attributes.start_time ASC"]
        )
        return list(found)

    def children(self) -> list[Any]:
        return [run for run in self.runs() if "mlflow.parentRunId" in run.data.tags]

    def parents(self) -> list[Any]:
        return [run for run in self.runs() if "mlflow.parentRunId" not in run.data.tags]


def quiet_reporter(step: str = "distill") -> Reporter:
    return Reporter(step=step, console=Console(file=io.StringIO(), width=500))


def logged(reporter: Reporter) -> str:
    assert isinstance(reporter.console.file, io.StringIO)
    return reporter.console.file.getvalue()


def run_step(
    step: str, *origins: Origin, key: str = "key", reporter: Reporter | None = None
) -> StepRun:
    """A step with a curve, figures and a file."""
    reporter = reporter or quiet_reporter(step)
    with (
        tempfile.TemporaryDirectory() as name,
        tracked_step(step, key, Params(), list(origins), reporter) as run,
    ):
        reporter.point("loss [train]", 1, 0.75)
        reporter.point("loss [train]", 2, 0.5)
        reporter.metric("accuracy", 0.8)
        (Path(name) / "card.json").write_text("{}")
        (Path(name) / "weights.bin").write_text("not logged")
        run.finish(reporter, 1.5, {"student": Path(name)})
    return run


def only_record() -> RunRecord:
    (run,) = Spool(spool_uri()).runs()
    assert run.record is not None
    return run.record


class Killed(BaseException):
    """Nothing catches it, as nothing catches a signal 9."""


WRITING = (
    "create_run",
    "update_run",
    "log_batch",
    "log_inputs",
    "log_artifact",
    "set_tag",
    "set_terminated",
    "create_registered_model",
    "create_model_version",
    "set_model_version_tag",
    "set_registered_model_alias",
)


def dying_at(call: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Let MLflow's client die right after its n-th writing call; returns how many there were."""
    from mlflow.tracking import MlflowClient

    count = 0
    for name in WRITING:
        original = getattr(MlflowClient, name)

        def counted(*arguments: Any, original: Any = original, **more: Any) -> Any:
            nonlocal count
            done = original(*arguments, **more)
            count += 1
            if count == call:
                raise Killed
            return done

        monkeypatch.setattr(MlflowClient, name, counted)
    return lambda: count
