"""What a student shall be better than: TF-IDF with a linear model, and a constant answer.

A kind's control.py has, with features (rows, terms), labels (rows, E) of rows whose label is known,

    METHOD                      what is fitted, such as `ridge regression`
    fit(features, labels, held_out, held_out_labels, target, *, c_grid, seed)
                                a Fitted: its `target` with what it decided on the held-out rows,
                                the best `c` of the grid there, the `validation_score` that it
                                reached, values(features), (rows, W), and `linear`: weights
                                (terms, W) and bias (W,) of the logits that answers.values reads
    constant(labels, target)    the best constant answer: values (W,), and a text
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from decant.tasks.kinds import part
from decant.tasks.ngrams import ngrams, unspaced_share
from decant.tasks.quality import by_target
from decant.tasks.task import Target, Task

Labels = NDArray[np.number[Any]]


@dataclass(frozen=True, kw_only=True)
class TfidfControl:
    """TF-IDF of `ngrams` with sublinear term frequency, and a linear model per target.

    Attributes:
        fitted: by target, the kind's own, see above.
        unspaced_share: of the training texts' letters, those of scripts without blanks, 0 to 1.
    """

    vectorizer: TfidfVectorizer
    fitted: Mapping[str, Any]
    unspaced_share: float

    @property
    def task(self) -> Task:
        """With what the control decided on validation rows."""
        return Task(tuple(one.target for one in self.fitted.values()))

    @property
    def features(self) -> int:
        """N-grams of the training texts."""
        return len(self.vectorizer.vocabulary_)

    def values(self, texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Per target (texts, W), as answers.values gives them."""
        features = self.vectorizer.transform(texts)
        return {name: one.values(features) for name, one in self.fitted.items()}


def fit_tfidf(
    task: Task,
    train: tuple[Sequence[str], Labels],
    validation: tuple[Sequence[str], Labels],
    *,
    c_grid: Sequence[float],
    seed: int,
) -> TfidfControl:
    """Fit on labelled rows alone, choosing C by the target's metric on the validation rows.

    Args:
        train, validation: texts, and labels as labels.encode gives them.
        c_grid: of equally good values the smallest wins.
    """
    vectorizer = TfidfVectorizer(analyzer=ngrams, sublinear_tf=True)
    features = vectorizer.fit_transform(train[0])
    held_out = vectorizer.transform(validation[0])
    fitted = fit_linear(
        task, (features, train[1]), (held_out, validation[1]), c_grid=c_grid, seed=seed
    )
    return TfidfControl(
        vectorizer=vectorizer, fitted=fitted, unspaced_share=unspaced_share(train[0])
    )


def fit_linear(
    task: Task,
    train: tuple[Any, Labels],
    validation: tuple[Any, Labels],
    *,
    c_grid: Sequence[float],
    seed: int,
) -> dict[str, Any]:
    """By target a linear model on features (rows, terms), the kind's own, see above.

    Args:
        train, validation: features, and labels as labels.encode gives them.
        c_grid: of equally good values the smallest wins.
    """
    (features, labels), (held_out, others) = train, validation
    fitted = {}
    for (target, own), (_, own_others) in zip(
        by_target(task, labels), by_target(task, others), strict=True
    ):
        known, known_others = ~np.isnan(own[:, 0]), ~np.isnan(own_others[:, 0])
        fitted[target.name] = _of(target).fit(
            features[known],
            own[known],
            held_out[known_others],
            own_others[known_others],
            target,
            c_grid=c_grid,
            seed=seed,
        )
    return fitted


def constants(task: Task, labels: Labels) -> dict[str, tuple[NDArray[np.float64], str]]:
    """Per target the best constant answer on these labelled rows: values (W,), and a text."""
    found = {}
    for target, own in by_target(task, labels):
        found[target.name] = _of(target).constant(own[~np.isnan(own[:, 0])], target)
    return found


def method(target: Target) -> str:
    """What is fitted for a target."""
    return str(_of(target).METHOD)


def control_title(task: Task) -> str:
    """How the control is called, such as `TF-IDF + ridge regression`."""
    methods = [*dict.fromkeys(map(method, task.targets))]
    return f"TF-IDF + {methods[0] if len(methods) == 1 else 'a linear model per target'}"


def _of(target: Target) -> Any:
    return part(target.kind, "control")
