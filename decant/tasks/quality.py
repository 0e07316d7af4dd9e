"""How good the models are on the test rows, target by target, and on resamples of these rows.

A kind's quality.py has, with values (rows, W) as answers.py gives them and labels (rows, E) as
labels.py encodes them, of the rows whose label is known:

    FIGURES                         its own figures, a TargetFigures
    measure(values, labels, target) a Quality

and a Quality has

    rows                            how many
    figures                         FIGURES' own attributes, by name
    right                           (rows,) bool where the target's metric is the share of right
                                    rows, else None
    resampled(weights)              (samples,): the metric where row i counts weights[:, i] times;
                                    NaN where it is not defined
    agreement(other)                share of the rows with another model's answer, 0 to 1
    missed_classes(teacher)         the classes of which no row is right, with the teacher's right
                                    rows; None of a kind without classes
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decant.figures.quality_figures import MissedClass
from decant.figures.target_figures import TargetFigures
from decant.tasks.kinds import part
from decant.tasks.spec import with_labels
from decant.tasks.task import Target, Task

Values = NDArray[np.floating[Any]]
Labels = NDArray[np.number[Any]]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One model on one target.

    Attributes:
        target: with what this model decided on validation rows.
        quality: the kind's own, see above.
    """

    target: Target
    quality: Any

    @property
    def score(self) -> float:
        """The target's metric; 0 where it is not defined, as a correlation of a constant."""
        rows: int = self.quality.rows
        return float(np.nan_to_num(self.quality.resampled(np.ones((1, rows)))[0]))

    def resampled(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores (samples,) where known row i counts weights[:, i] times."""
        return np.asarray(np.nan_to_num(self.quality.resampled(weights)))


def by_target(task: Task, labels: Labels) -> list[tuple[Target, NDArray[np.float64]]]:
    """Each target with its labels (rows, E), NaN where unknown, also of classes alone.

    Args:
        labels: of all targets, as labels.encode gives them.
    """
    found = []
    for target, _, own in with_labels(task, labels):
        columns: NDArray[np.float64] = own.astype(np.float64).reshape(len(own), -1)
        if own.ndim == 1:
            columns[columns < 0] = np.nan
        found.append((target, columns))
    return found


def known_rows(task: Task, labels: Labels) -> dict[str, NDArray[np.bool_]]:
    """Per target the rows (rows,) whose label is known.

    Args:
        labels: of all targets, as labels.encode gives them.
    """
    return {target.name: ~np.isnan(own[:, 0]) for target, own in by_target(task, labels)}


def measure(task: Task, values: Mapping[str, Values], labels: Labels) -> dict[str, Measured]:
    """One model on each target.

    Args:
        task: the model's own, with its decisions.
        values: per target (rows, W).
        labels: of all targets, as labels.encode gives them.
    """
    found = {}
    for target, own in by_target(task, labels):
        known = ~np.isnan(own[:, 0])
        quality = _of(target).measure(values[target.name][known], own[known], target)
        found[target.name] = Measured(target=target, quality=quality)
    return found


def figures_class(target: Target) -> type[TargetFigures]:
    """The figures of a target's kind."""
    found: type[TargetFigures] = _of(target).FIGURES
    return found


def missed_classes(
    student: Mapping[str, Measured], teacher: Mapping[str, Measured]
) -> tuple[MissedClass, ...] | None:
    """Classes with test rows of which the student has none right, those with the most rows first.

    None where no target has classes.
    """
    found: list[MissedClass] = []
    any_classes = False
    for name, one in student.items():
        missed = one.quality.missed_classes(teacher[name].quality)
        if missed is not None:
            any_classes = True
            several = len(student) > 1
            found += [m.model_copy(update={"target": name}) if several else m for m in missed]
    return tuple(sorted(found, key=lambda one: -one.test_rows)) if any_classes else None


def _of(target: Target) -> Any:
    return part(target.kind, "quality")
