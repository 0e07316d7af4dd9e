"""Two versions on the same test rows: which is right where, how fast, how large.

The rows are the candidate's. Where both were evaluated on the same test split, their recorded
answers are used; otherwise both models run again. Times are always measured now, side by side:
those of two machines, or of two days, cannot be compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from components.evaluate.bootstrap import interval, resampled_accuracies
from components.evaluate.tested_models import class_indices
from decant.figures.figure_set import Interval
from decant.figures.quality_figures import ClassRecall
from decant.inference.classifier import OnnxClassifier
from decant.inference.latency import (
    Candidate,
    Speedup,
    measure_latency,
    speedup,
    tokenizer_threads,
)
from decant.runtime.errors import UserError
from decant.tasks.single_label.quality import Quality, measure_quality, worst_class
from pipelines.registry.version_evidence import EvaluatedVersion, answers

_WARMUP_CALLS = 20


@dataclass(frozen=True, kw_only=True)
class VersionFigures:
    """One version on the rows.

    Attributes:
        ece: expected calibration error, 0 to 1.
        size_bytes: of graph and tokenizer, None where the manifest lacks it.
        worst_class: the class with the lowest recall.
        lost_classes: test rows of each class of which it has none right and the other version some.
    """

    accuracy: float
    macro_f1: float
    ece: float
    size_bytes: int | None
    worst_class: ClassRecall
    lost_classes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The first version (new) against the second (old).

    Attributes:
        asked_again: the test splits differ, so both models ran again.
        teacher_accuracy: of the new version's teacher.
        difference: new accuracy minus old, with its paired 95 % interval.
        only_new, only_old: rows that only one of them has right.
        p_value: of McNemar's exact test (binomial, two-sided) on these two counts.
        faster: end to end, times less time than the old one, median and 90 % of the blocks.
        differing: the rows to which they give different labels: text, label, new, old, and the
            probability each gives its answer.
    """

    rows: int
    asked_again: bool
    new: VersionFigures
    old: VersionFigures
    teacher_accuracy: float
    difference: float
    difference_interval: Interval
    only_new: int
    only_old: int
    p_value: float
    faster: Speedup | None
    differing: pd.DataFrame

    @property
    def retention(self) -> float:
        """Of the new version: its accuracy by its teacher's."""
        return self.new.accuracy / self.teacher_accuracy if self.teacher_accuracy else 0.0


def compare(
    new: EvaluatedVersion,
    old: EvaluatedVersion,
    *,
    samples: int,
    latency_texts: int,
    seed: int,
    advance: Callable[[int], None] = lambda texts: None,
) -> Comparison:
    """Raises UserError when the two do not have the same classes."""
    if set(new.labels) != set(old.labels):
        raise UserError(
            f"{new} and {old} cannot be compared: their classes are {', '.join(new.labels)} "
            f"and {', '.join(old.labels)}",
            code="labels-mismatch",
        )
    test = new.predictions
    texts = test["text"].tolist()
    same_rows = bool(new.test_digest) and new.test_digest == old.test_digest
    read = EvaluatedVersion.recorded if same_rows else partial(answers, texts=texts)
    of_new, of_old = read(new), _in_order(read(old), old.labels, new.labels)
    actual = class_indices(test["label"], new.labels)
    correct = {"new": of_new.argmax(1) == actual, "old": of_old.argmax(1) == actual}
    quality_new, quality_old = measure_quality(actual, of_new), measure_quality(actual, of_old)
    drawn = resampled_accuracies(correct, samples=samples, seed=seed)
    spread = interval(drawn["new"] - drawn["old"])
    assert spread is not None
    only_new = int((correct["new"] & ~correct["old"]).sum())
    only_old = int((correct["old"] & ~correct["new"]).sum())
    return Comparison(
        rows=len(test),
        asked_again=not same_rows,
        new=_figures(new, quality_new, new.labels, other=quality_old),
        old=_figures(old, quality_old, new.labels, other=quality_new),
        teacher_accuracy=float((test["teacher_label"] == test["label"]).mean()),
        difference=float(correct["new"].mean() - correct["old"].mean()),
        difference_interval=spread,
        only_new=only_new,
        only_old=only_old,
        p_value=mcnemar(only_new, only_old),
        faster=_side_by_side(new, old, texts, latency_texts, seed, advance),
        differing=_differing(test, new.labels, of_new, of_old),
    )


def figures_alone(evaluated: EvaluatedVersion) -> tuple[VersionFigures, float]:
    """A version on its own test rows, and its teacher's accuracy there."""
    test = evaluated.predictions
    actual = class_indices(test["label"], evaluated.labels)
    teacher = float((test["teacher_label"] == test["label"]).mean())
    quality = measure_quality(actual, evaluated.recorded())
    return _figures(evaluated, quality, evaluated.labels), teacher


def mcnemar(only_one: int, only_other: int) -> float:
    """The exact two-sided p-value: of n rows that one alone has right, either is as likely.

    Source: McNemar 1947; the exact form in Dietterich 1998, Approximate Statistical Tests.
    """
    discordant = only_one + only_other
    return float(binomtest(only_one, discordant, 0.5).pvalue) if discordant else 1.0


def _figures(
    evaluated: EvaluatedVersion,
    quality: Quality,
    labels: Sequence[str],
    other: Quality | None = None,
) -> VersionFigures:
    rows = quality.per_class["support"]
    lost = set(quality.missed) - set(other.missed) if other else set()
    return VersionFigures(
        accuracy=quality.accuracy,
        macro_f1=quality.macro_f1,
        ece=quality.ece,
        size_bytes=OnnxClassifier(evaluated.model).manifest.get("size_bytes"),
        worst_class=worst_class(quality, labels),
        lost_classes={labels[index]: int(rows.iloc[index]) for index in sorted(lost)},
    )


def _side_by_side(
    new: EvaluatedVersion,
    old: EvaluatedVersion,
    texts: Sequence[str],
    count: int,
    seed: int,
    advance: Callable[[int], None],
) -> Speedup | None:
    """How much faster the new one answers one text, tokenization included, on one thread."""
    chosen = np.random.default_rng(seed).permutation(len(texts))[:count]
    sample = [texts[index] for index in np.sort(chosen)]
    candidates = {}
    for name, evaluated in (("new", new), ("old", old)):
        model = OnnxClassifier(evaluated.model, threads=1)
        candidates[name] = Candidate(
            predict=model.predict, encode=model.encode, run=model.run, texts=len(sample)
        )
    with tokenizer_threads(1):
        timings = measure_latency(candidates, sample, warmup=_WARMUP_CALLS, advance=advance)
    return speedup(timings["old"].end_to_end_us, timings["new"].end_to_end_us)


def _differing(
    test: pd.DataFrame,
    labels: Sequence[str],
    of_new: NDArray[np.float32],
    of_old: NDArray[np.float32],
) -> pd.DataFrame:
    names = np.array(labels, dtype=object)
    frame = pd.DataFrame(
        {
            "text": test["text"].to_numpy(),
            "label": test["label"].to_numpy(),
            "new": names[of_new.argmax(1)],
            "new_probability": of_new.max(1),
            "old": names[of_old.argmax(1)],
            "old_probability": of_old.max(1),
        }
    )
    return frame[frame["new"] != frame["old"]].reset_index(drop=True)


def _in_order(
    probabilities: NDArray[np.float32], own: Sequence[str], wanted: Sequence[str]
) -> NDArray[np.float32]:
    """Columns of one order of classes in another."""
    return probabilities[:, [list(own).index(label) for label in wanted]]
