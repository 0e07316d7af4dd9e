"""Which smaller form of an exported graph is good enough to take its place.

A form is accepted when its file is smaller, its score on validation rows stays within a
tolerance of the float32 graph's, its answers agree with that graph's, and it is not clearly slower.
So that depends on the machine only where a form is about `max_slowdown` times as slow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from components.export_onnx.contract import Limits
from components.export_onnx.forms import FLOAT32, quantised
from components.export_onnx.refused import Refused
from decant.data.tokens import TokenRows, pad
from decant.inference.classifier import open_session
from decant.inference.latency import Candidate, measure_latency, speedup
from decant.tasks.scores import agreement, score
from decant.tasks.spec import task_metric
from decant.tasks.task import Task

_BATCH = 16  # rows; in another batch a dynamic form answers slightly differently
_TIMED_ROWS, _TURNS = 20, 7
_ALL_CORES, _ONE_THREAD = 0, 1


@dataclass(frozen=True, kw_only=True)
class Material:
    """Rows in the ids of the model's own tokenizer.

    Attributes:
        task: with what was decided on the float32 graph's answers.
        rows: labelled; the decision is made on them.
        calibration: token ids (1, length) each, for the scales of static activations.
    """

    task: Task
    rows: TokenRows
    calibration: Sequence[NDArray[np.int64]]
    pad_id: int


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Figures of a graph on the deciding rows.

    Attributes:
        size_bytes: of the graph alone.
        score: of the task's metric.
        label_agreement: share of the rows on which its answer is the float32 graph's.
    """

    size_bytes: int
    score: float
    label_agreement: float


@dataclass(frozen=True, kw_only=True)
class Made:
    """A form of the graph, in its file."""

    form: str
    graph: Path
    figures: Figures


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A form that was tried.

    Attributes:
        made: None where the form could not be made or does not run.
        times_as_slow: the median over blocks of rows; None where it was not needed.
        refused: why it was not accepted, one reason each; empty when it was.
    """

    form: str
    made: Made | None
    times_as_slow: float | None
    refused: tuple[str, ...]


class Trials:
    """Makes smaller forms of one float32 graph and compares them with it.

    Args:
        work: folder for the files of the forms.
    """

    def __init__(self, float32: Path, material: Material, work: Path) -> None:
        self._graph, self._material, self._work = float32, material, work
        self.task = material.task
        self._reference = graph_logits(float32, material)
        self.float32 = self._figures(float32, self._reference)

    def attempt(
        self, form: str, limits: Limits, *, max_slowdown: float, log: Callable[[str], None]
    ) -> Trial:
        """Make the form and test it. It is timed only where it passes everything else."""
        try:
            made = self.make(form)
        except Refused as refused:
            if refused.detail:
                log(f"{form}: {refused}: {refused.detail}")
            return Trial(form=form, made=None, times_as_slow=None, refused=(str(refused),))
        reasons, slower = self._reasons_against(made.figures, limits), None
        if not reasons:
            slower = self._times_as_slow(made.graph)
            if slower > max_slowdown:
                reasons = [f"it is more than {max_slowdown:g} times as slow as {FLOAT32}"]
        return Trial(form=form, made=made, times_as_slow=slower, refused=tuple(reasons))

    def make(self, form: str) -> Made:
        """Raises Refused where the form cannot be made or does not run."""
        graph = self._work / f"{form}.onnx"
        graph.write_bytes(quantised(form, self._graph.read_bytes(), self._material.calibration))
        try:
            logits = graph_logits(graph, self._material)
        except Exception as error:  # ONNX Runtime's errors have no narrower base
            raise Refused("ONNX Runtime does not run it", detail=str(error)) from error
        if not np.isfinite(logits).all():
            raise Refused("it gives logits that are no numbers")
        figures = self._figures(graph, logits)
        return Made(form=form, graph=graph, figures=figures)

    def against_float32(self, made: Made) -> dict[str, object]:
        """For the manifest of a form: its figures and the number of validation rows."""
        return {
            "rows": len(self._material.rows),
            self._score_key: made.figures.score,
            f"float32_{self._score_key}": self.float32.score,
            "label_agreement": made.figures.label_agreement,
        }

    def record(
        self, tried: Sequence[Trial], limits: Limits, won: Made | None, reasons: Sequence[str]
    ) -> dict[str, object]:
        """For the manifest: the limits, what was tried, and what won. Without times.

        Args:
            reasons: for each trial why it was refused, not taken, or taken.
        """
        return {
            "rows": len(self._material.rows),
            "max_accuracy_loss": limits.max_accuracy_loss,
            "min_label_agreement": limits.min_label_agreement,
            FLOAT32: self._recorded(self.float32),
            "tried": [
                {
                    "form": trial.form,
                    "accepted": not trial.refused,
                    "reason": reason,
                    **(self._recorded(trial.made.figures) if trial.made else {}),
                }
                for trial, reason in zip(tried, reasons, strict=True)
            ],
            "won": won.form if won else FLOAT32,
        }

    @property
    def _score_key(self) -> str:
        return "accuracy" if self._material.task.metric == "accuracy" else "score"

    def _recorded(self, figures: Figures) -> dict[str, object]:
        return {
            "size_bytes": figures.size_bytes,
            self._score_key: figures.score,
            "label_agreement": figures.label_agreement,
        }

    def _figures(self, graph: Path, logits: NDArray[np.float32]) -> Figures:
        task = self._material.task
        return Figures(
            size_bytes=graph.stat().st_size,
            score=score(task, logits, self._material.rows.labels),
            label_agreement=agreement(task, logits, self._reference),
        )

    def _reasons_against(self, figures: Figures, limits: Limits) -> list[str]:
        reasons, loss = [], round(self.float32.score - figures.score, 9)
        if figures.size_bytes >= self.float32.size_bytes:
            reasons.append(f"it is not smaller than {FLOAT32}")
        if loss > limits.max_accuracy_loss:
            reasons.append(
                f"it loses {100 * loss:.2f} points of {task_metric(self._material.task).title} "
                f"({100 * limits.max_accuracy_loss:g} allowed)"
            )
        if figures.label_agreement < limits.min_label_agreement:
            reasons.append(
                f"its labels are those of {FLOAT32} in {100 * figures.label_agreement:.2f} % "
                f"of the rows ({100 * limits.min_label_agreement:g} % demanded)"
            )
        return reasons

    def _times_as_slow(self, graph: Path) -> float:
        """Time per row over the float32 graph's, one row at a time in turns, one thread.

        The shortest of several turns counts: other load on the machine only adds time.
        """
        rows = some_of(self._material.rows, _TIMED_ROWS)
        chosen = [pad([row], self._material.pad_id) for row in rows]
        candidates = {
            name: _candidate(open_session(file, _ONE_THREAD, "cpu"), len(chosen))
            for name, file in ((FLOAT32, self._graph), ("small", graph))
        }
        turns = [
            measure_latency(candidates, chosen, warmup=1, advance=lambda rows: None)
            for _ in range(_TURNS)
        ]
        shortest = {
            name: np.min([turn[name].end_to_end_us for turn in turns], axis=0)
            for name in candidates
        }
        ratio = speedup(shortest["small"], shortest[FLOAT32])
        assert ratio is not None  # there is at least one row
        return ratio.median


def graph_logits(graph: Path, material: Material) -> NDArray[np.float32]:
    """(rows, W), in batches of rows of similar length, on all cores."""
    session, rows = open_session(graph, _ALL_CORES, "cpu"), material.rows
    order = np.argsort(rows.lengths, kind="stable")
    parts = []
    for start in range(0, len(rows), _BATCH):
        batch = (rows[row] for row in order[start : start + _BATCH])
        ids = pad(batch, material.pad_id)
        parts.append(session.run(None, {"input_ids": ids})[0])
    logits = np.concatenate(parts)
    return np.asarray(logits[np.argsort(order)])


def some_of(rows: TokenRows, wanted: int) -> TokenRows:
    """At most `count` of the rows, evenly over all of them."""
    taken = min(len(rows), wanted)
    chosen = [index * len(rows) // taken for index in range(taken)]
    return TokenRows.of((rows[row] for row in chosen), rows.labels[chosen])


def _candidate(session: onnxruntime.InferenceSession, rows: int) -> Candidate[NDArray[np.int64]]:
    return Candidate(
        predict=lambda batch: session.run(None, {"input_ids": batch[0]}),
        encode=None,
        run=None,
        texts=rows,
    )
