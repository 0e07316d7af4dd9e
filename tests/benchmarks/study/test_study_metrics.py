"""What tables, sentences and pictures make of scores that are not the accuracy alone."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from benchmarks.study.accuracy_latency import PICTURE, draw_picture
from benchmarks.study.metrics import metric_names, score_text, short_name
from benchmarks.study.redraw import stored_entries
from benchmarks.study.results import Result, Timing, write_results
from benchmarks.study.statistics import MEAN, study_figures
from benchmarks.study.study_findings import findings
from benchmarks.study.study_plan import parse_study
from benchmarks.study.summary import summarise
from benchmarks.study.table import study_page
from benchmarks.study.together import together_or_alone
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file
from decant.tasks.task import Task
from tests.benchmarks.study.scored import right_rows, scored
from tests.benchmarks.study.test_study_report import plan_of
from tests.decant.tasks.targets import SEVERAL, STARS, TOPICS

SAMPLES = 4000
ROWS = 300
RNG = np.random.default_rng(5)
LABELS = np.column_stack(  # mood, topics, stars, as they are encoded
    [RNG.integers(0, 2, ROWS), RNG.integers(0, 2, (ROWS, 3)), RNG.normal(size=ROWS)]
).astype(float)
LABELS[:40, 4] = np.nan  # stars that are unknown
NUMBERS, SETS = Task((STARS,)), Task((TOPICS,))


def answers(noise: float, seed: int) -> dict[str, np.ndarray]:
    """Values of a model that is the worse, the more noise there is."""
    draw = np.random.default_rng(seed)
    mood = (draw.random(ROWS) < noise) ^ (LABELS[:, 0] > 0.5)
    topics = (draw.random((ROWS, 3)) < noise) ^ (LABELS[:, 1:4] > 0.5)
    stars = np.nan_to_num(LABELS[:, 4:]) + 2 * noise * draw.normal(size=(ROWS, 1))
    return {
        "mood": np.eye(2)[mood.astype(int)],
        "topics": topics.astype(float),
        "stars": 3 + 2 * stars,
    }


MODELS = {
    ("default", "student"): (0.2, 20.0),
    ("default", "teacher"): (0.1, 1000.0),
    ("fast", "student"): (0.3, 10.0),
}
ALONE = {"mood": 0.25, "topics": 0.2, "stars": 0.15}


def result(data: str, task: Task, key: tuple[str, str], seed: int, noise: float) -> Result:
    own = {"several": LABELS, "topics": LABELS[:, 1:4], "stars": LABELS[:, 4:]}
    labels = own[task.targets[0].name if len(task.targets) == 1 else "several"]
    first = hash_free(key) + 10 * seed
    values = [answers(noise, first + part) for part in (0, 1)]
    us = MODELS.get(key, (0, 20.0))[1]
    return Result(
        data=data,
        variant=key[0],
        seed=seed,
        model=key[1],
        validation=scored(task, values[0], labels),
        test=scored(task, values[1], labels),
        size_bytes=1_000_000,
        logits=f"logits/{key[0]}-{seed}.npz",
        timing=Timing(
            model_us=us, end_to_end_us=us + 40, faster_model=None, faster_end_to_end=None
        ),
    )


def hash_free(key: tuple[str, str]) -> int:
    """Another number for each model, the same in every process."""
    return 1000 * sum("/".join(key).encode())


def results(data: str, task: Task) -> list[Result]:
    """Seeds 1 and 2; of several targets with the student of each alone."""
    found = [
        result(data, task, key, seed, noise)
        for key, (noise, _) in MODELS.items()
        for seed in (1, 2)
    ]
    if len(task.targets) > 1:
        found += [
            result(data, task.only(name), (variant, f"alone/{name}"), seed, noise)
            for variant in ("default", "fast")
            for name, noise in ALONE.items()
            for seed in (1, 2)
        ]
    return found


def page(found: list[Result]) -> str:
    figures = study_figures(found, samples=200, seed=0)
    return study_page(
        plan_of(),
        summarise(plan_of(), found, figures),
        found,
        together=together_or_alone(found, samples=200, seed=0),
        bounds=[],
        failures={},
        samples=200,
        texts=10,
        threads=1,
    )


def own_score(values: dict[str, np.ndarray], rows: np.ndarray) -> float:
    """The weighted mean of accuracy, micro-F1 and the correlation on these rows, by other code."""
    labels = LABELS[rows]
    known = ~np.isnan(labels[:, 4])
    accuracy = (values["mood"][rows].argmax(axis=1) == labels[:, 0]).mean()
    true, given = labels[:, 1:4] > 0.5, values["topics"][rows] > 0.5
    f1 = 2 * (true & given).sum() / (true.sum() + given.sum())
    r = np.corrcoef(values["stars"][rows][known, 0], labels[known, 4])[0, 1]
    return float((accuracy + f1 + 0.5 * r) / 2.5)


def test_scores_and_paired_intervals_of_several_targets_are_those_of_a_plain_bootstrap() -> None:
    figures = study_figures(results("d", SEVERAL), samples=SAMPLES, seed=0)["d"]
    assert set(figures) == set(MODELS)  # a student for one target is not compared with those of all
    values = {
        (variant, seed): answers(noise, hash_free((variant, "student")) + 10 * seed + 1)
        for variant, noise in (("default", 0.2), ("fast", 0.3))
        for seed in (1, 2)
    }
    every = np.arange(ROWS)
    fast = figures["fast", "student"]
    assert fast.score == pytest.approx(
        np.mean([own_score(values["fast", seed], every) for seed in (1, 2)])
    )
    draw = np.random.default_rng(9)
    drawn = []
    for _ in range(700):
        rows, seeds = draw.integers(0, ROWS, ROWS), draw.integers(1, 3, 2)
        pairs = [(values["fast", s], values["default", s]) for s in seeds]
        drawn.append(np.mean([own_score(a, rows) - own_score(b, rows) for a, b in pairs]))
    expected = tuple(np.quantile(drawn, [0.025, 0.975]))
    assert fast.difference_interval == pytest.approx(expected, abs=0.01)


def test_a_target_learned_together_and_alone_by_hand() -> None:
    found = together_or_alone(results("d", SEVERAL), samples=SAMPLES, seed=0)["d"]
    assert [(one.variant, one.target) for one in found] == [
        (variant, target) for variant in ("default", "fast") for target in ALONE
    ]
    mood = next(one for one in found if (one.variant, one.target) == ("default", "mood"))
    right = {
        model: {
            seed: answers(noise, hash_free(("default", model)) + 10 * seed + 1)["mood"].argmax(1)
            == LABELS[:, 0]
            for seed in (1, 2)
        }
        for model, noise in (("student", 0.2), ("alone/mood", 0.25))
    }
    means = {model: np.mean([rows.mean() for rows in own.values()]) for model, own in right.items()}
    assert mood.together == pytest.approx(means["student"])
    assert mood.alone == pytest.approx(means["alone/mood"])
    assert mood.difference == pytest.approx(means["student"] - means["alone/mood"])
    apart = {s: right["student"][s].astype(float) - right["alone/mood"][s] for s in (1, 2)}
    draw = np.random.default_rng(9)
    drawn = []
    for _ in range(SAMPLES):
        rows, seeds = draw.integers(0, ROWS, ROWS), draw.integers(1, 3, 2)
        drawn.append(np.mean([apart[s][rows].mean() for s in seeds]))
    expected = tuple(np.quantile(drawn, [0.025, 0.975]))
    assert mood.difference_interval == pytest.approx(expected, abs=0.008)
    assert together_or_alone(results("d", NUMBERS), samples=10, seed=0) == {}


def test_data_sets_of_different_metrics_have_no_mean() -> None:
    mixed = results("d", NUMBERS) + results("e", SETS)
    assert set(study_figures(mixed, samples=50, seed=0)) == {"d", "e"}
    text = page(mixed)
    assert "There is no mean over the data sets: they are judged by different metrics." in text
    assert "The score is Pearson's r.\n" in text
    assert "The score is micro-F1, in per cent.\n" in text
    assert "![score against latency]" in text
    alike = results("d", SETS) + results("e", SETS)
    assert set(study_figures(alike, samples=50, seed=0)) == {"d", "e", MEAN}
    assert "There is no mean" not in page(alike)
    assert "## Mean of d, e\n\nThe score is micro-F1, in per cent.\n" in page(alike)


def test_a_number_is_written_with_three_digits_and_a_share_in_per_cent() -> None:
    found = results("d", NUMBERS)
    figures = study_figures(found, samples=200, seed=0)["d"]
    entries = summarise(plan_of(), found, {"d": figures})["d"]
    default = figures["default", "student"]
    assert default.retention is not None
    first = findings(entries, [])[0]
    assert first.startswith(
        f"The default student reaches a Pearson's r of {default.score:.3f} on the test rows and "
        f"keeps {100 * default.retention:.1f} % of its teacher's Pearson's r (95 % interval "
    )
    row = next(line for line in page(found).splitlines() if line.startswith("| fast"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2] == f"{figures['fast', 'student'].validation:.3f}"
    difference = figures["fast", "student"].validation_difference
    assert cells[4].startswith(f"{difference:+.3f} (")


def test_the_learned_together_table_shows_what_was_not_chosen_from() -> None:
    text = page(results("d", SEVERAL))
    _, _, below = text.partition("learned together with the others and alone")
    lines = [line for line in below.splitlines()[2:8] if line.startswith("| ")]
    assert [line.split("|")[1:4] for line in lines[2:]] == [
        [" default ", " mood ", " accuracy "],
        [" default ", " topics ", " micro-F1 "],
        [" default ", " stars ", " Pearson's r "],
    ]
    assert "accuracy of mood (weight 1), micro-F1 of topics (weight 1), Pearson's r of" in text


@pytest.mark.parametrize(
    ("tasks", "column", "metrics"),
    [
        ({"d": SETS, "e": SETS}, "micro_f1", {"micro_f1"}),
        ({"d": SEVERAL}, "score", {"accuracy+micro_f1+pearson"}),
        ({"d": NUMBERS, "e": SETS}, "score", {"pearson", "micro_f1"}),
    ],
)
def test_the_files_name_the_metric_and_the_picture_can_be_drawn_from_them(
    tmp_path: Path, tasks: dict[str, Task], column: str, metrics: set[str]
) -> None:
    found = [one for data, task in tasks.items() for one in results(data, task)]
    write_results(tmp_path, found, {"default": "default", "fast": "architecture"})
    rows = pd.read_csv(tmp_path / "study.csv")
    assert rows[f"test_{column}"].tolist() == pytest.approx(
        [one.test.score for one in found], abs=1e-5
    )
    assert set(rows["metric"]) == metrics
    assert rows["logits"].notna().all()
    assert rows[rows["model"].str.startswith("alone/")]["retention"].isna().all()
    assert (tmp_path / "targets.csv").is_file() == (SEVERAL in tasks.values())
    assert not list(tmp_path.glob("rows-*"))  # no row is right or wrong
    study = parse_study(
        {
            "seeds": [1, 2],
            "latency_bounds": [],
            "model2vec": None,
            "data": {data: {} for data in tasks},
            "variants": [
                {"name": "fast", "factor": "speed", "set": {"transfer_weights.width": 64}}
            ],
        }
    )
    stored = stored_entries(tmp_path, study, read_params_file(PROJECT / "params.yaml"))
    figures = study_figures(found, samples=50, seed=0)
    drawn = summarise(plan_of(), found, figures)
    assert {data: [(e.key, e.figures.metric) for e in own] for data, own in stored.items()} == {
        data: [(e.key, e.figures.metric) for e in own] for data, own in drawn.items()
    }
    for data, own in stored.items():
        for one, other in zip(own, drawn[data], strict=True):
            assert one.figures.validation == pytest.approx(other.figures.validation, abs=1e-5)
    draw_picture(tmp_path, stored, bounds=[])
    assert plt.imread(tmp_path / PICTURE).shape[1] > 800


def test_right_rows_are_kept_where_the_score_is_their_share(tmp_path: Path) -> None:
    whole = dataclasses.replace(TOPICS, metric="subset_accuracy")
    found = results("d", Task((whole,)))
    found += [
        dataclasses.replace(one, data="e", validation=right_rows([1]), test=right_rows([1, 0]))
        for one in found
    ]
    write_results(tmp_path, found, {})
    right = pd.read_parquet(tmp_path / "rows-d.parquet")
    assert right["fast/student/2"].mean() == pytest.approx(
        next(one.test.score for one in found if one.variant == "fast" and one.seed == 2)
    )
    assert (tmp_path / "rows-e.parquet").is_file()


def test_names_of_metrics() -> None:
    assert metric_names(SEVERAL) == "accuracy+micro_f1+pearson"
    assert score_text(metric_names(SEVERAL)).title == "mean score"
    assert not score_text(metric_names(SEVERAL)).is_share
    assert score_text("accuracy+macro_f1").is_share
    assert [short_name(names) for names in ("micro_f1", "accuracy+r2")] == ["micro_f1", "score"]
