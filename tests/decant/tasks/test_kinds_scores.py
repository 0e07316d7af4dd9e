"""Scores against scikit-learn and SciPy; what is decided on validation rows."""

import dataclasses

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from decant.tasks import answers, scores
from decant.tasks.task import Target, Task
from tests.decant.tasks.targets import MOOD, SEVERAL, STARS, TOPICS

NAN = float("nan")
DRAW = np.random.default_rng(0)
LOGITS = np.round(DRAW.normal(size=(300, 3)), 1).astype(np.float32)  # with ties
TRUTH = (LOGITS + DRAW.normal(size=(300, 3)) > 1).astype(np.float32)
NUMBERS = np.round(DRAW.normal(size=(300, 1)), 1).astype(np.float32)
TRUE = (np.round(NUMBERS + DRAW.normal(size=(300, 1)), 1)).astype(np.float32)


def judged(target: Target, metric: str, **facts: object) -> Task:
    return Task((dataclasses.replace(target, metric=metric, facts={**target.facts, **facts}),))


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("micro_f1", metrics.f1_score(TRUTH, LOGITS >= 0, average="micro")),
        ("macro_f1", metrics.f1_score(TRUTH, LOGITS >= 0, average="macro")),
        ("mean_average_precision", metrics.average_precision_score(TRUTH, LOGITS)),
        ("subset_accuracy", metrics.accuracy_score(TRUTH, LOGITS >= 0)),
    ],
)
def test_scores_of_labels(metric: str, expected: float) -> None:
    with_unknown = np.vstack([TRUTH, [[NAN] * 3]])
    logits = np.vstack([LOGITS, [[9, 9, 9]]])
    assert scores.score(judged(TOPICS, metric), logits, with_unknown) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "reference"),
    [
        ("pearson", lambda true, found: stats.pearsonr(true, found).statistic),
        ("spearman", lambda true, found: stats.spearmanr(true, found).statistic),
        ("r2", metrics.r2_score),
        (
            "quadratic_kappa",
            lambda true, found: metrics.cohen_kappa_score(
                np.rint(true).astype(int), np.rint(found).astype(int), weights="quadratic"
            ),
        ),
    ],
)
def test_scores_of_numbers(metric: str, reference) -> None:
    task = judged(STARS, metric)
    found = np.clip(2 * NUMBERS[:, 0].astype(float) + 3, 1, 5)
    true = 2 * TRUE[:, 0].astype(float) + 3
    assert scores.score(task, NUMBERS, TRUE) == pytest.approx(reference(true, found))


def test_scores_of_classes() -> None:
    logits, labels = LOGITS[:, :2], DRAW.integers(-1, 2, size=300)
    known = labels >= 0
    answered = logits.argmax(1)[known]
    assert scores.score(judged(MOOD, "accuracy"), logits, labels) == np.mean(
        answered == labels[known]
    )
    assert scores.score(judged(MOOD, "macro_f1"), logits, labels) == pytest.approx(
        metrics.f1_score(labels[known], answered, average="macro")
    )


def test_without_known_rows_there_is_no_score() -> None:
    assert np.isnan(scores.score(Task((TOPICS,)), LOGITS[:2], np.full((2, 3), NAN)))
    assert np.isnan(scores.score(Task((STARS,)), NUMBERS[:2], np.full((2, 1), NAN)))
    assert np.isnan(scores.score(Task((MOOD,)), LOGITS[:2, :2], np.array([-1, -1])))


def test_constant_answers_correlate_with_nothing() -> None:
    assert np.isnan(scores.score(Task((STARS,)), np.zeros((9, 1), np.float32), TRUE[:9]))


def test_several_targets_have_the_weighted_mean() -> None:
    logits = np.hstack([LOGITS[:, :2], LOGITS, NUMBERS])
    labels = np.hstack([DRAW.integers(0, 2, size=(300, 1)), TRUTH, TRUE]).astype(np.float32)
    each = scores.scores(SEVERAL, logits, labels)
    assert list(each) == ["mood", "topics", "stars"]
    expected = (each["mood"] + each["topics"] + 0.5 * each["stars"]) / 2.5
    assert scores.score(SEVERAL, logits, labels) == pytest.approx(expected)


def test_each_label_gets_the_threshold_with_its_best_f1() -> None:
    task = scores.decided(Task((TOPICS,)), LOGITS, TRUTH)
    chosen = task.targets[0].facts["decision"]["thresholds"]
    for label in range(3):
        f1 = [metrics.f1_score(TRUTH[:, label], LOGITS[:, label] >= t) for t in np.unique(LOGITS)]
        got = metrics.f1_score(TRUTH[:, label], LOGITS[:, label] >= chosen[label])
        assert got == pytest.approx(max(f1))
    assert len(set(chosen)) == 3
    assert scores.score(task, LOGITS, TRUTH) >= scores.score(Task((TOPICS,)), LOGITS, TRUTH)


def test_one_threshold_for_all_has_the_best_micro_f1() -> None:
    task = scores.decided(judged(TOPICS, "micro_f1", thresholds="global"), LOGITS, TRUTH)
    chosen = task.targets[0].facts["decision"]["thresholds"]
    assert len(set(chosen)) == 1
    f1 = [metrics.f1_score(TRUTH, t <= LOGITS, average="micro") for t in np.unique(LOGITS)]
    assert scores.score(task, LOGITS, TRUTH) == pytest.approx(max(f1))


@pytest.mark.parametrize("thresholds", ["per_label", "global", "fixed"])
def test_where_nothing_can_be_chosen_the_fixed_threshold_stays(thresholds: str) -> None:
    task = judged(TOPICS, "micro_f1", thresholds=thresholds, threshold=0.8)
    (target,) = scores.decided(task, LOGITS, np.zeros_like(TRUTH)).targets
    assert target.facts["decision"]["thresholds"] == pytest.approx([np.log(4)] * 3)


def test_a_threshold_lies_between_two_answers() -> None:
    logits = np.array([[3.0], [1.0], [0.0], [-1.0]], dtype=np.float32)
    target = dataclasses.replace(TOPICS, outputs=("a",))
    task = scores.decided(Task((target,)), logits, np.array([[1.0], [1.0], [0.0], [0.0]]))
    assert task.targets[0].facts["decision"] == {"thresholds": [0.5]}


def test_answers_follow_the_thresholds_of_their_model() -> None:
    task = scores.decided(Task((TOPICS,)), LOGITS, TRUTH)
    (target,) = task.targets
    chosen = np.array(target.facts["decision"]["thresholds"])
    for row, answer in zip(LOGITS, answers.answers(task, LOGITS), strict=True):
        expected = {name for name, yes in zip("abc", row >= chosen, strict=True) if yes}
        assert set(answer.labels) == expected
        assert answer.scores["a"] == pytest.approx(1 / (1 + np.exp(-float(row[0]))))


def test_agreement_by_hand() -> None:
    one, other = np.array([[1.0, -1, 1], [1, 1, 1]]), np.array([[1.0, 1, 1], [1, 1, -1]])
    assert scores.agreement(Task((TOPICS,)), one, other) == pytest.approx(4 / 6)
    near, far = np.array([[0.0], [1.0]]), np.array([[0.04], [1.2]])
    unbounded = judged(STARS, "pearson", minimum=None, maximum=None)
    assert scores.agreement(unbounded, near, far) == 0.5
    assert scores.agreement(Task((MOOD,)), one[:, 1:], other[:, 1:]) == 0.5


def test_numbers_are_cut_to_their_bounds() -> None:
    found = answers.answers(Task((STARS,)), np.array([[9.0], [-9.0], [0.25]], dtype=np.float32))
    assert [one.value for one in found] == [5.0, 1.0, 3.5]


def test_cells_of_several_targets_begin_with_their_names() -> None:
    logits = np.array([[0.0, 2.0, 3.0, -3.0, 1.0, 0.5]], dtype=np.float32)
    (answer,) = answers.answers(SEVERAL, logits)
    cells = answers.cells(SEVERAL, answer)
    assert (cells["mood_label"], cells["topics_labels"], cells["stars_value"]) == (
        "good",
        ["a", "c"],
        4.0,
    )
    assert list(cells["topics_scores"]) == ["a", "b", "c"]
    assert (
        answers.shown(SEVERAL, answer)
        == "mood: good (0.881); topics: a (0.953), c (0.731); stars: 4"
    )
