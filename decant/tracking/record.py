"""All that MLflow gets of one run of a step, so that it can be logged now or sent later."""

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import ConfigDict, TypeAdapter

from decant.runtime.process import Process, this_process
from decant.tracking.parent_run import Parent

_DAY_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True)
class Origin:
    """Where an input artifact came from: its step, that step's identity, the runs behind it."""

    step: str
    identity: str
    step_runs: Mapping[str, str]


@dataclass(frozen=True)
class Point:
    """One value of a metric; `at` counts epochs, 0 for a figure that has only one value."""

    name: str
    value: float
    at: int
    milliseconds: int


@dataclass(kw_only=True)
class RunRecord:
    """A run of a step, from its beginning to its end.

    Attributes:
        id: of the record; a tag of the run in MLflow, by which it is found again.
        store: the tracking URI without user and password.
        figures: known at the end; those of some steps are also logged on the parent.
        started_ms, ended_ms, written_ms: milliseconds since 1970, None before the end.
        status: as MLflow calls it: RUNNING, FINISHED, FAILED, KILLED.
    """

    __pydantic_config__ = ConfigDict(ser_json_inf_nan="constants", extra="forbid")

    store: str
    parent: Parent
    step: str
    tags: dict[str, str]
    params: dict[str, str]
    origins: list[Origin]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    process: Process = field(default_factory=this_process)
    points: list[Point] = field(default_factory=list)
    figures: list[Point] = field(default_factory=list)
    started_ms: int = field(default_factory=lambda: milliseconds_now())
    ended_ms: int | None = None
    written_ms: int = 0
    status: str = "RUNNING"
    error: str = ""

    def add_point(self, curve: str, at: int, value: float) -> Point:
        """Add a point of a curve, of now, and return it."""
        point = Point(_metric_name(curve), value, at, milliseconds_now())
        self.points.append(point)
        return point

    def set_figures(self, figures: Mapping[str, float]) -> None:
        """Replace the figures.

        One that has a curve, such as the score of the epoch that was kept, comes behind the curve's
        last point: MLflow shows the newest as the metric's value.
        """
        last = {point.name: point.at for point in sorted(self.points, key=lambda point: point.at)}
        self.figures = [
            replace(point, at=last.get(point.name, point.at)) for point in points_of(figures)
        ]

    def end(self, status: str, error: str = "") -> None:
        """Close the record with MLflow's status and, where it failed, why."""
        self.status, self.error, self.ended_ms = status, error, milliseconds_now()

    @property
    def is_running(self) -> bool:
        """Whether its process may still add to it; on another host, until a day of silence."""
        if self.ended_ms is not None:
            return False
        if not self.process.is_here:
            return milliseconds_now() - self.written_ms < _DAY_MS
        return self.process.is_alive

    def as_json(self) -> bytes:
        """What `read_record` reads."""
        return _JSON.dump_json(self, indent=1)


def read_record(content: bytes) -> RunRecord:
    """Raises ValueError for what `as_json` did not write."""
    return _JSON.validate_json(content)


def points_of(figures: Mapping[str, float]) -> list[Point]:
    """Figures as points at step 0, of now."""
    now = milliseconds_now()
    return [Point(_metric_name(name), value, 0, now) for name, value in figures.items()]


def milliseconds_now() -> int:
    """Since 1970, as MLflow counts time."""
    return int(time.time() * 1000)


def _metric_name(name: str) -> str:
    """MLflow allows letters, digits and `_-. :/`."""
    return re.sub(r"[^\w\-. :/]", "_", name)


_JSON = TypeAdapter(RunRecord)
