"""The control without a network: TF-IDF and a linear model on the same labels."""

from collections.abc import Sequence
from pathlib import Path

from components.evaluate.labelled_rows import read_labelled
from decant.tasks import control
from decant.tasks.control import TfidfControl
from decant.tasks.task import Task


def fit_tfidf(corpus: Path, task: Task, *, c_grid: Sequence[float], seed: int) -> TfidfControl:
    """Fit on the labelled training split alone, choosing C by the metric on validation rows.

    Of equally good values the smallest wins. Raises UserError for a training split of one class
    and for an empty split.
    """
    train, validation = (read_labelled(corpus, split, task) for split in ("train", "validation"))
    return control.fit_tfidf(
        task,
        (train.texts, train.labels),
        (validation.texts, validation.labels),
        c_grid=c_grid,
        seed=seed,
    )
