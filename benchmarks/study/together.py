"""Of several targets: the student that learned all, beside the one that learned each alone.

`distill` trains the latter as controls. Both answer the same resampled rows, as in statistics.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.study.metrics import score_text
from benchmarks.study.results import STUDENT, Result
from benchmarks.study.statistics import over_seeds, spread
from components.evaluate.bootstrap import interval, resampled_scores
from components.evaluate.tested_models import ALONE
from decant.figures.figure_set import Interval
from decant.figures.figure_text import ScoreText
from decant.tasks.task import Target


@dataclass(frozen=True, kw_only=True)
class Together:
    """One target of one variant's students on the test rows, means over the seeds.

    Attributes:
        metric: of the target.
        together, alone: scores of the student of all targets, and of the one for this target.
        together_spread, alone_spread: standard deviations over the seeds (n - 1); None below two.
        difference: of the two.
    """

    variant: str
    target: str
    metric: ScoreText
    together: float
    together_spread: float | None
    alone: float
    alone_spread: float | None
    difference: float
    difference_interval: Interval | None


def together_or_alone(
    results: Sequence[Result], *, samples: int, seed: int
) -> dict[str, list[Together]]:
    """Per data set with several targets, by variant and target, over the seeds that have both."""
    found: dict[str, list[Together]] = {}
    for index, data in enumerate(dict.fromkeys(result.data for result in results)):
        students = {
            (result.variant, result.model, result.seed): result
            for result in results
            if result.data == data and (result.model == STUDENT or result.alone)
        }
        if any(result.alone for result in students.values()):
            # The same rows as in statistics.py.
            found[data] = _of_data(students, samples, seed + index)
    return found


def _of_data(
    students: Mapping[tuple[str, str, int | None], Result], samples: int, seed: int
) -> list[Together]:
    joint = next(result.test for result in students.values() if not result.alone)
    names = {str(number): key for number, key in enumerate(students)}
    drawn = resampled_scores(
        joint.task,
        {name: students[key].test.targets for name, key in names.items()},
        joint.known,
        samples=samples,
        seed=seed,
    )
    by_key = {key: drawn[name].targets for name, key in names.items()}
    rows = []
    for variant in dict.fromkeys(variant for variant, _, _ in students):
        for target in joint.task.targets:
            control = f"{ALONE}/{target.name}"
            pairs = [
                ((variant, STUDENT, number), (variant, control, number))
                for of, model, number in students
                if (of, model) == (variant, STUDENT) and (variant, control, number) in students
            ]
            if pairs:
                rows.append(_row(variant, target, students, by_key, pairs))
    return rows


def _row(
    variant: str,
    target: Target,
    students: Mapping[tuple[str, str, int | None], Result],
    drawn: Mapping[tuple[str, str, int | None], Mapping[str, NDArray[np.float64]]],
    pairs: Sequence[tuple[tuple[str, str, int | None], tuple[str, str, int | None]]],
) -> Together:
    name = target.name
    both = [[students[key].test.targets[name].score for key in pair] for pair in pairs]
    together, alone = ([row[place] for row in both] for place in (0, 1))
    apart = [drawn[one][name] - drawn[other][name] for one, other in pairs]
    return Together(
        variant=variant,
        target=name,
        metric=score_text(target.metric),
        together=float(np.mean(together)),
        together_spread=spread(together),
        alone=float(np.mean(alone)),
        alone_spread=spread(alone),
        difference=float(np.mean(together) - np.mean(alone)),
        difference_interval=interval(over_seeds([apart])),
    )
