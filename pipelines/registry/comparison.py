"""Two versions on the same test rows: which is better at which target, how fast, how large.

The rows are the candidate's. Where both were evaluated on the same test split, their recorded
answers are used; otherwise both models run again. Times are always measured now, side by side:
those of two machines, or of two days, cannot be compared.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decant.inference.classifier import OnnxClassifier
from decant.inference.latency import (
    Candidate,
    Speedup,
    measure_latency,
    speedup,
    tokenizer_threads,
)
from decant.runtime.errors import UserError
from decant.tasks import comparison
from decant.tasks.comparison import Compared, OneModel
from decant.tasks.metric import Metric
from decant.tasks.spec import metric_of
from decant.tasks.task import Target, Task
from pipelines.registry.version_evidence import EvaluatedVersion, Values, answered_now

_WARMUP_CALLS = 20


@dataclass(frozen=True, kw_only=True)
class TargetFigures:
    """One version on one target, on the rows whose label is known.

    Attributes:
        score: by the target's metric.
        teacher_score: of its teacher, on the version's own test rows.
        details: the kind's other figures; `ece` among them where there are probabilities.
        lost: test rows of each class or label of which it has none right and the other version
            some.
    """

    target: Target
    score: float
    teacher_score: float
    details: Mapping[str, Any]
    lost: Mapping[str, int] = field(default_factory=dict)

    @property
    def metric(self) -> Metric:
        """By which the target is judged."""
        return metric_of(self.target)

    @property
    def retention(self) -> float:
        """Its score by its teacher's."""
        return self.score / self.teacher_score if self.teacher_score else 0.0


@dataclass(frozen=True, kw_only=True)
class VersionFigures:
    """One version on the rows.

    Attributes:
        targets: in the order of the task.
        size_bytes: of graph and tokenizer, None where the manifest lacks it.
    """

    targets: Sequence[TargetFigures]
    size_bytes: int | None

    @property
    def score(self) -> float:
        """Of the only target, or the weighted mean of the targets' scores."""
        return _mean(self.targets, (one.score for one in self.targets))

    @property
    def teacher_score(self) -> float:
        """The same of its teacher."""
        return _mean(self.targets, (one.teacher_score for one in self.targets))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The first version (new) against the second (old).

    Attributes:
        task: of the new one.
        asked_again: the test splits differ, so both models ran again.
        new, old: the figures of each; `old` has its targets in the order of `new`.
        targets: per target of these, the scores beside each other.
        target_rows: per target the rows whose label is known.
        faster: end to end, times less time than the old one, median and 90 % of the blocks.
        differing: per target the rows to which they give different answers: text, label, new, old,
            how far apart these are, and where there is one the probability each gives its answer.
    """

    task: Task
    rows: int
    asked_again: bool
    new: VersionFigures
    old: VersionFigures
    targets: Sequence[Compared]
    target_rows: Sequence[int]
    faster: Speedup | None
    differing: Sequence[pd.DataFrame]

    @property
    def retention(self) -> float:
        """Of the new version: its score by its teacher's."""
        teacher = self.new.teacher_score
        return self.new.score / teacher if teacher else 0.0


def compare(
    new: EvaluatedVersion,
    old: EvaluatedVersion,
    *,
    samples: int,
    latency_texts: int,
    seed: int,
    advance: Callable[[int], None] = lambda texts: None,
) -> Comparison:
    """Raises UserError when the two do not have the same targets with the same outputs."""
    old_targets = _partners(new, old)
    texts = new.predictions["text"].tolist()
    same_rows = bool(new.test_digest) and new.test_digest == old.test_digest
    read = EvaluatedVersion.recorded if same_rows else partial(answered_now, texts=texts)
    news = _models(new, new, read(new))
    _check_rows(new, news)
    of_old = {one.target.name: one for one in _models(new, old, read(old))}
    olds = [
        _judged_by(of_old[target.name], one) for target, one in zip(old_targets, news, strict=True)
    ]
    return Comparison(
        task=new.task,
        rows=len(texts),
        asked_again=not same_rows,
        new=_figures(new, new.task.targets, news, olds),
        old=_figures(old, old_targets, olds, news),
        targets=[
            comparison.compare(one, other, samples=samples, seed=seed)
            for one, other in zip(news, olds, strict=True)
        ],
        target_rows=[len(one.values) for one in news],
        faster=_side_by_side(new, old, texts, latency_texts, seed, advance),
        differing=[
            _differing(one, other, new.predictions["text"][_known(labels)])
            for one, other, labels in zip(news, olds, new.labels(new.task).values(), strict=True)
        ],
    )


def figures_alone(evaluated: EvaluatedVersion) -> VersionFigures:
    """A version on its own test rows."""
    models = _models(evaluated, evaluated, evaluated.recorded())
    _check_rows(evaluated, models)
    return _figures(evaluated, evaluated.task.targets, models)


def _partners(new: EvaluatedVersion, old: EvaluatedVersion) -> list[Target]:
    """The old version's targets in the order of the new one's.

    The only target of each is the same one, whatever its name: that of format 1 has none.
    """
    ours, theirs = new.task.targets, old.task.targets
    by_name = {target.name: target for target in theirs}
    if len(ours) == len(theirs) == 1:
        found: list[Target] = [*theirs]
    else:
        found = [by_name[target.name] for target in ours if target.name in by_name]
    if len(found) == len(ours) == len(theirs) and all(map(_is_same, ours, found)):
        return found
    raise UserError(
        f"{new} and {old} cannot be compared: their targets are {_in_words(new.task)} and "
        f"{_in_words(old.task)}",
        code="labels-mismatch",
        hint="compare versions of one task, with the same labels",
    )


def _is_same(one: Target, other: Target) -> bool:
    """Of one kind with the same outputs; the only one of a number has the target's name."""
    has_labels = max(len(one.outputs), len(other.outputs)) > 1
    same_outputs = {*one.outputs} == {*other.outputs}
    return one.kind == other.kind and (same_outputs or not has_labels)


def _in_words(task: Task) -> str:
    return "; ".join(
        f"{target.name} ({target.kind}: {', '.join(target.outputs)})" for target in task.targets
    )


def _models(
    rows: EvaluatedVersion, of: EvaluatedVersion, values: Mapping[str, Values]
) -> list[OneModel]:
    """A version's answers to the rows of another, per target those whose label is known."""
    labels = rows.labels(of.task)
    found = []
    for target in of.task.targets:
        own, of_target = labels[target.name], values[target.name]
        known = _known(own)
        found.append(OneModel(target=target, values=of_target[known], labels=own[known]))
    return found


def _known(labels: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(~np.isnan(labels[:, 0]))


def _judged_by(model: OneModel, new: OneModel) -> OneModel:
    """By the metric of the new version, where the two were trained for different ones."""
    target = dataclasses.replace(model.target, metric=new.target.metric)
    return dataclasses.replace(model, target=target)


def _check_rows(evaluated: EvaluatedVersion, models: Iterable[OneModel]) -> None:
    for model in models:
        if not len(model.values):
            raise UserError(
                f"{evaluated} was evaluated without a test row whose '{model.target.name}' is "
                "known",
                code="rows-unusable",
            )


def _figures(
    evaluated: EvaluatedVersion,
    targets: Sequence[Target],
    models: Sequence[OneModel],
    others: Sequence[OneModel] | None = None,
) -> VersionFigures:
    return VersionFigures(
        targets=[
            TargetFigures(
                target=model.target,
                score=model.score,
                teacher_score=evaluated.teacher_score(target.name),
                details=model.details,
                lost=_lost(model, others[index]) if others else {},
            )
            for index, (target, model) in enumerate(zip(targets, models, strict=True))
        ],
        size_bytes=OnnxClassifier(evaluated.model).manifest.get("size_bytes"),
    )


def _lost(model: OneModel, other: OneModel) -> dict[str, int]:
    found = other.recognised
    return {
        label: rows
        for label, (rows, right) in model.recognised.items()
        if rows and not right and found[label][1]
    }


def _mean(targets: Sequence[TargetFigures], scores: Iterable[float]) -> float:
    weights = [one.target.weight for one in targets]
    found = list(scores)
    return found[0] if len(found) == 1 else float(np.average(found, weights=weights))


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


def _differing(new: OneModel, old: OneModel, texts: pd.Series) -> pd.DataFrame:
    columns = {"text": texts.to_numpy(), "label": new.truth}
    for side, model in (("new", new), ("old", old)):
        columns[side] = model.decided
        if (certainty := model.certainty) is not None:
            columns[f"{side}_probability"] = certainty
    frame = pd.DataFrame(columns | {"apart": new.apart(old)})
    return frame[frame["apart"] > 0].reset_index(drop=True)
