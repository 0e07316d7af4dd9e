"""MLflow tracking: one parent run per execution, a child run per executed step.

The parent is the run in MLFLOW_RUN_ID, else the run tagged with the execution's identity (KFP's run
id, or parameters, code and the `dvc` process above us), created by the first step that needs it.

MLflow makes no step fail that has begun: after the first call that fails, or after the step has
waited for it for too long, all of the run goes to the spool, and no further call is made. What only
a person can change, such as refused credentials or a deleted experiment, is an error before it.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from decant.runtime import identity
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.runtime.retrying import limit_seconds
from decant.runtime.secrets import shown_uri, without_secrets
from decant.runtime.termination import told_to_end
from decant.runtime.threads import in_words
from decant.tracking.delivery import (
    IDENTITY_TAG,
    THREADS_TAG,
    Place,
    begin,
    log_end,
    log_figures,
    log_file,
    log_points,
    log_start,
    send,
)
from decant.tracking.lasting_causes import lasting_cause
from decant.tracking.lost_runs import close_earlier_attempts, close_lost
from decant.tracking.mlflow_retries import retried_in_mlflow
from decant.tracking.mlflow_store import (
    first_line,
    is_local_store,
    open_client,
    tracking_is_on,
    tracking_uri,
)
from decant.tracking.moved_store import moved_from
from decant.tracking.parent_run import STEP_TAG, parent_here, source_tags
from decant.tracking.patience import PATIENCE_SECONDS, Patience
from decant.tracking.record import Origin, RunRecord
from decant.tracking.spool import Spool, spool_uri

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from mlflow.tracking import MlflowClient

T = TypeVar("T")

LOGGED_FILES = ("*.png", "*.html", "*.md", "card.json")
# Of a step's patience at most, in pauses before attempts that are repeated: what MLflow does not
# take is spooled.
PAUSES_SECONDS = 15.0
NEEDS_MLFLOW = ("register",)  # it cannot be spooled: as patient as a download
_MAX_PARAM_CHARACTERS = 6000


@dataclasses.dataclass(kw_only=True)
class StepRun:
    """A step's child run, logged in MLflow or in the spool; not at all when tracking is off.

    Attributes:
        record: all that is logged; None when tracking is off.
        client, place: MLflow and the run in it; None without MLflow, and after the first failure.
        spool: where the record is written after that.
        step_runs: the run of each step behind this one's artifacts, its own included; the record's
            id for a run that MLflow does not have yet.
        patience: with MLflow, in all.
    """

    reporter: Reporter
    record: RunRecord | None = None
    client: "MlflowClient | None" = None
    place: Place | None = None
    spool: Spool | None = None
    step_runs: dict[str, str] = dataclasses.field(default_factory=dict)
    patience: Patience = dataclasses.field(default_factory=Patience)

    @property
    def run_id(self) -> str:
        """Empty when there is no run in MLflow."""
        return self.reporter.run_id

    def finish(self, reporter: Reporter, seconds: float, folders: Mapping[str, Path]) -> None:
        """Log the step's figures and pictures; the headline figures also on the parent."""
        if not (record := self.record):
            return
        record.set_figures({**reporter.metrics, **reporter.measures, "seconds": seconds})
        self._log(partial(log_figures, record=record))
        files = [
            (file, port)
            for port, folder in folders.items()
            for file in sorted(file for glob in LOGGED_FILES for file in folder.glob(glob))
        ]
        for file, port in files:
            self._log(partial(log_file, file=file, folder=port))
        if spool := self.spool:
            for file, port in files:
                self._keep(partial(spool.add_file, record, file, port))

    def _begin(self) -> None:
        """Open the run, log the parameters, and link the runs that made its inputs."""
        assert self.record
        record = self.record
        try:
            self.client = client = self._retried(open_client)
            self._waited_for(lambda: self._send_earlier(client))
            attempts = count()
            self.place = self._retried(
                lambda: begin(client, record, is_new=next(attempts) == 0)  # an answer may be lost
            )
        except UserError:
            raise
        except Exception as error:
            if cause := lasting_cause(error):
                raise cause from None
            self._give_up(error)
            return
        self.reporter.run_id = self.place.run_id
        self._log(self._log_start)
        self._log(self._close_lost)

    def _log_start(self, client: "MlflowClient", place: Place) -> None:
        assert self.record
        step_runs = log_start(client, place, self.record)
        self.step_runs = {**step_runs, self.record.step: place.run_id}

    def _close_lost(self, client: "MlflowClient", place: Place) -> None:
        """What killed processes left open: of this machine, and earlier attempts of this step."""
        assert self.record
        lost = close_lost(client, [place.experiment]) + close_earlier_attempts(
            client, place.experiment, place.parent_id, self.record.step, place.run_id
        )
        for run in lost:
            self.reporter.message(
                f"closed the run of {run.data.tags[STEP_TAG]} in MLflow whose process was killed"
            )

    def _send_earlier(self, client: "MlflowClient") -> None:
        """Send what earlier steps of this execution spooled: this run links to their runs."""
        assert self.record
        try:
            spool = Spool(spool_uri())
            with spool.locked() as is_free:
                for run in spool.runs(self.record.parent.execution) if is_free else ():
                    record = run.record
                    if record and record.store == self.record.store and not record.is_running:
                        send(client, spool, run)
                        self.reporter.message(f"sent the spooled run of {record.step} to MLflow")
        except Exception as error:
            self.reporter.warning(f"spooled runs were not sent: {first_line(error)}")

    def _log_point(self, curve: str, at: int, value: float) -> None:
        """Live, so that a curve can be watched while the step runs."""
        if self.record:
            point = self.record.add_point(curve, at, value)
            self._log(lambda client, place: log_points(client, place.run_id, [point]))

    def _end(self, status: str, error: BaseException | None = None) -> None:
        if not (record := self.record):
            return
        problem = without_secrets(f"{type(error).__name__}: {error}")[:500] if error else ""
        record.end(status, problem)
        self._log(partial(log_end, record=record))

    def _log(self, action: Callable[["MlflowClient", Place], object]) -> None:
        """Call MLflow, or write the record as it is now to the spool."""
        if self.client and self.place:
            client, place = self.client, self.place
            try:
                self._retried(lambda: action(client, place))
            except Exception as error:
                self._give_up(error)
                return
            waited = self.patience.waited
            if waited > self._most_seconds and not self._has_ended:
                self._give_up(TimeoutError(f"the step waited {waited:.0f} s for it"))
        else:
            self._keep()

    def _retried(self, action: Callable[[], T]) -> T:
        """What passes by itself is tried again, while the step's patience lasts."""
        assert self.record
        most = limit_seconds()
        if self.record.step not in NEEDS_MLFLOW:
            most = min(most, PAUSES_SECONDS)
        most = max(0.0, min(most, self._most_seconds - self.patience.waited))
        return self._waited_for(
            lambda: retried_in_mlflow("a request to MLflow", action, seconds=most)
        )

    def _waited_for(self, action: Callable[[], T]) -> T:
        return self.patience.wait_for(action, self._most_seconds, bounded=not is_local_store())

    @property
    def _most_seconds(self) -> float:
        """Seconds for MLflow in all; of a step that needs it, longer by a whole outage."""
        needs_it = self.record is not None and self.record.step in NEEDS_MLFLOW
        return PATIENCE_SECONDS + (limit_seconds() if needs_it else 0.0)

    @property
    def _has_ended(self) -> bool:
        return bool(self.record and self.record.ended_ms)

    def _give_up(self, error: Exception) -> None:
        self.client = self.place = None
        self.reporter.tracking_problem = problem = first_line(error)
        try:
            self.spool = Spool(spool_uri())
        except UserError as spool_error:
            self.reporter.warning(f"MLflow failed ({problem}), tracking is lost: {spool_error}")
            return
        if self._keep():
            self.reporter.warning(
                f"MLflow failed ({problem}); this run is spooled in {self.spool}, "
                "`decant sync` sends it"
            )

    def _keep(self, action: Callable[[], object] = lambda: None) -> bool:
        """Write to the spool. A failure is a warning and never makes the step fail."""
        if not (self.spool and self.record):
            return False
        try:
            self.spool.write(self.record)
            action()
        except Exception as error:
            problem = first_line(error)
            self.reporter.warning(f"tracking is lost, {self.spool} cannot be written: {problem}")
            self.spool = None
        return self.spool is not None


@contextmanager
def tracked_step(
    step: str, key: str, params: "DataclassInstance", origins: Sequence[Origin], reporter: Reporter
) -> Iterator[StepRun]:
    """A child run for the step; ends FINISHED, or FAILED when the block raises.

    Raises UserError before the block when the store is local on a cluster, or MLflow refuses for a
    cause that lasts.
    """
    known = {name: run_id for origin in origins for name, run_id in origin.step_runs.items()}
    run = StepRun(reporter=reporter, step_runs=known)
    if tracking_is_on():
        if folders := moved_from():
            reporter.warning(
                f"MLflow's local store was moved from {', '.join(map(str, folders))}, where files "
                "of this run may go: `decant relocate` corrects that"
            )
        run.record = _record(step, key, params, origins, reporter.threads)
        run.step_runs = {**known, step: run.record.id}
        reporter.on_point = run._log_point
        run._begin()
    try:
        yield run
    except BaseException as error:
        run._end("KILLED" if told_to_end(error) else "FAILED", error)
        raise
    run._end("FINISHED")


def _record(
    step: str,
    key: str,
    params: "DataclassInstance",
    origins: Sequence[Origin],
    threads: Mapping[str, int],
) -> RunRecord:
    """Parameters get prefixed keys: they cannot be changed, and others log plain names."""
    return RunRecord(
        store=shown_uri(tracking_uri()),
        parent=parent_here(),
        step=step,
        tags={
            STEP_TAG: step,
            IDENTITY_TAG: key,
            **({THREADS_TAG: in_words(threads)} if threads else {}),
            "decant.code": identity.code_digest(step),
            **source_tags(f"components/{step}"),
        },
        params={
            f"{step}.{name}": identity.canonical_json(value)[:_MAX_PARAM_CHARACTERS]
            for name, value in dataclasses.asdict(params).items()
        },
        origins=list(origins),
    )
