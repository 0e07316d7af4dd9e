"""What table, sentences and picture make of results whose answer is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from benchmarks.study.accuracy_latency import MEAN_PICTURE, PICTURE, draw_labels, draw_picture
from benchmarks.study.redraw import stored_entries
from benchmarks.study.results import Result, Scored, Timing, write_results
from benchmarks.study.statistics import MEAN, study_figures
from benchmarks.study.study_findings import bound_text, findings
from benchmarks.study.study_plan import DEFAULT, Plan, Study, Variant, parse_study
from benchmarks.study.summary import Entry, best_under, entry_of, summarise
from benchmarks.study.table import study_page
from decant.inference.latency import Speedup
from decant.runtime.identity import PROJECT
from decant.runtime.params_file import read_params_file
from tests.benchmarks.study.scored import right_rows
from tests.errors import raises

TEACHER_US = 1000.0
# Per model: accuracy on validation and on test, and microseconds; equal for all seeds.
MODELS: dict[tuple[str, str], tuple[float, float, float]] = {
    ("default", "student"): (0.80, 0.80, 20.0),
    ("default", "undistilled"): (0.70, 0.70, 20.5),
    ("default", "teacher"): (0.90, 0.90, TEACHER_US),
    ("fast", "student"): (0.75, 0.85, 10.0),
    ("slow", "student"): (0.84, 0.82, 90.0),
    ("random", "student"): (0.60, 0.60, 20.0),
}
VARIANTS = [
    {"name": "fast", "factor": "architecture"},
    {"name": "slow", "factor": "width"},
    {"name": "random", "factor": "transfer", "control": True},
]


def right(share: float, rows: int = 200) -> Scored:
    return right_rows(np.arange(rows) < round(share * rows))


def timing(us: float, split: bool = True) -> Timing:
    model, both = TEACHER_US / us, (TEACHER_US + 40) / (us + 40)
    return Timing(
        model_us=us if split else None,
        end_to_end_us=us + 40,
        faster_model=Speedup(model, model, model) if split else None,
        faster_end_to_end=Speedup(both, both, both),
    )


def results(
    *, data: Sequence[str] = ("d",), tfidf: tuple[float, float] = (0.5, 300.0), **models: Any
) -> list[Result]:
    """Seeds 1 and 2; `tfidf`: accuracy and microseconds with tokenization."""
    found = []
    for name in data:
        for (variant, model), (validation, test, us) in MODELS.items():
            found += [
                Result(
                    data=name,
                    variant=variant,
                    seed=seed,
                    model=model,
                    validation=right(validation),
                    test=right(models.get(f"{variant}_{model}", test)),
                    timing=timing(us),
                    size_bytes=2_000_000,
                    seconds={"finetune_seconds": 50.0, "student_training_seconds": 20.0 * seed},
                )
                for seed in (1, 2)
            ]
        for control, accuracy in (("tfidf", tfidf[0]), ("majority", 0.5)):
            found.append(
                Result(
                    data=name,
                    variant="",
                    seed=None,
                    model=control,
                    validation=right(accuracy),
                    test=right(accuracy),
                    timing=timing(tfidf[1] - 40, split=False) if control == "tfidf" else None,
                )
            )
    return found


def plan_of(seeds: tuple[int, ...] = (1, 2)) -> Plan:
    study: Study = parse_study(
        {
            "seeds": list(seeds),
            "latency_bounds": [0.05, 0.1],
            "model2vec": None,
            "data": {"d": {}},
            "variants": VARIANTS,
        }
    )
    default = Variant(name=DEFAULT, factor=DEFAULT)
    variants = {variant.name: variant for variant in (default, *study.variants)}
    return Plan(
        study=study,
        seeds=seeds,
        data=("d",),
        variants=variants,
        same_as_default=(),
        runs=(),
    )


def entries_of(found: list[Result], seeds: tuple[int, ...] = (1, 2)) -> dict[str, list[Entry]]:
    return summarise(plan_of(seeds), found, study_figures(found, samples=200, seed=0))


def test_the_best_is_chosen_by_validation_under_the_bound() -> None:
    entries = entries_of(results())["d"]
    chosen = {bound: best_under(entries, bound) for bound in (0.005, 0.02, 0.1)}
    assert chosen[0.005] is None
    # `fast` is better on test, `slow` is too slow here; `random` is a control.
    assert chosen[0.02] is entry_of(entries, ("default", "student"))
    assert chosen[0.1] is entry_of(entries, ("slow", "student"))


def test_an_incomplete_variant_is_not_chosen() -> None:
    found = [r for r in results() if (r.variant, r.seed) != ("slow", 2)]
    entries = entries_of(found)["d"]
    slow = entry_of(entries, ("slow", "student"))
    assert slow is not None
    assert not slow.complete
    assert best_under(entries, 0.1) is entry_of(entries, ("default", "student"))


def test_sentences_on_the_default_that_wins() -> None:
    sentences = findings(entries_of(results())["d"], [0.02, 0.1])
    assert sentences == [
        "The default student is right in 80.0 % of the test rows and keeps 88.9 % of its teacher's "
        f"accuracy (95 % interval {sentences[0].partition('interval ')[2].partition(')')[0]}), "
        "50 times as fast.",
        "The default beats every control of equal or lower latency (random, undistilled, commonest "
        "class).",
        sentences[2],
        sentences[3],
    ]
    assert sentences[2].startswith(
        "Below 1/50 of the teacher's latency the best by validation is 'default' (80.0 % there): "
        "80.0 % of the test rows, 88.9 % of the teacher's accuracy ("
    )
    assert sentences[3].startswith(
        "Below 1/10 of the teacher's latency the best by validation is 'slow' (84.0 % there): "
        "82.0 % of the test rows, 91.1 % of the teacher's accuracy ("
    )


def test_a_control_that_wins_is_reported() -> None:
    """The undistilled student is 2.5 % slower by measurement: that counts as equal."""
    sentences = findings(entries_of(results(default_undistilled=0.85))["d"], [])
    assert len(sentences) == 2
    assert sentences[1].startswith(
        "The control 'undistilled', of equal or lower latency, is as good as the default or "
        "better: 85.0 % against 80.0 %, +5.0 points, 95 % interval +"
    )
    assert "includes 0" not in sentences[1]


def test_a_control_that_is_as_good_is_reported_with_its_doubt() -> None:
    sentences = findings(entries_of(results(random_student=0.8))["d"], [])
    assert "'random'" in sentences[1]
    assert "+0.0 points, 95 % interval +0.0 to +0.0 points, which includes 0." in sentences[1]


def test_a_control_without_a_split_is_compared_with_tokenization() -> None:
    """60 us with tokenization is the default's time too; 300 us is not."""
    fast = findings(entries_of(results(tfidf=(0.9, 60.0)))["d"], [])
    assert "'TF-IDF', of equal or lower latency, is as good" in fast[1]
    slow = findings(entries_of(results(tfidf=(0.9, 300.0)))["d"], [])
    assert "TF-IDF" not in slow[1]


def test_without_the_default_nothing_is_compared() -> None:
    found = [r for r in results() if (r.variant, r.model) != ("default", "student")]
    assert findings(entries_of(found)["d"], [0.1]) == [
        "The default is not there yet: nothing can be compared with it."
    ]


def test_the_mean_has_mean_times_and_geometric_ratios() -> None:
    found = results(data=("d", "e"))
    slower = [
        Result(**{**vars(r), "timing": timing(40.0)})
        if (r.data, r.variant, r.model) == ("e", "default", "student")
        else r
        for r in found
    ]
    entries = entries_of(slower)
    default = entry_of(entries[MEAN], ("default", "student"))
    assert default is not None
    assert default.timing is not None
    assert default.timing.model_us == 30
    assert default.timing.faster_model is not None
    assert default.timing.faster_model.median == pytest.approx((50 * 25) ** 0.5)


def page_of(found: list[Result], **changes: Any) -> str:
    options: dict[str, Any] = {
        "together": {},
        "bounds": [0.02, 0.1],
        "failures": {},
        "samples": 200,
        "texts": 10,
        "threads": 1,
    }
    return study_page(plan_of(), entries_of(found), found, **(options | changes))


def row_of(page: str, start: str) -> list[str]:
    line = next(line for line in page.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_by_hand() -> None:
    page = page_of(results())
    cells = row_of(page, "fast")
    assert cells[:4] == ["fast", "architecture", "75.0", "0.0"]
    assert cells[4].startswith("-5.0 (-")
    assert cells[5:8] == ["10", "100", "2.0"]
    assert cells[8:] == ["", "", ""]  # not chosen: its test figures stand in the file only
    default = row_of(page, "**default** (best by validation below 1/50)")
    assert default[4] == ""
    assert default[8:10] == ["80.0", "0.0"]
    assert default[10].startswith("88.9 (")
    slow = row_of(page, "**slow** (best by validation below 1/10)")
    assert slow[8:10] == ["82.0", "0.0"]
    assert slow[10].startswith("91.1 (")
    assert row_of(page, "random (control)")[8] == "60.0"
    assert row_of(page, "TF-IDF")[5] == "300 *"
    assert row_of(page, "commonest class")[5:8] == ["", "", ""]
    # Fine-tuning 50 s; training 20 and 40 s on the two seeds.
    assert "training the default student alone takes less time than" in page
    assert row_of(page, "d | default")[2:] == ["50", "", "", "30", ""]


def test_training_that_costs_more_than_fine_tuning_is_reported() -> None:
    found = [
        Result(**{**vars(r), "seconds": {"finetune_seconds": 5.0, "student_training_seconds": 9.0}})
        for r in results()
    ]
    assert "takes **not less** time than fine-tuning its teacher: 9.0 and 5.0 s" in page_of(found)


def test_failures_stand_in_the_page() -> None:
    assert "- d, fast, seed 1: distill: broken" in page_of(
        results(), failures={"d, fast, seed 1": "distill: broken\n  log: x"}
    )


def test_the_page_of_known_results_byte_by_byte() -> None:
    """golden/study.md was written before the page was a template."""
    golden = Path(__file__).parent / "golden" / "study.md"
    failures = {"d, fast, seed 1": "distill: broken\n  log: x"}
    page = page_of(results(data=("d", "e"), tfidf=(0.9, 60.0)), failures=failures)
    assert page == golden.read_text("utf-8")


def test_the_results_file_by_hand(tmp_path: Path) -> None:
    write_results(tmp_path, results(), {"default": "default", "fast": "architecture"})
    rows = pd.read_csv(tmp_path / "study.csv")
    fast = rows.query("variant == 'fast' and seed == 2").iloc[0]
    assert fast["factor"] == "architecture"
    assert fast["retention"] == pytest.approx(0.85 / 0.9, abs=1e-5)
    assert fast["student_training_seconds"] == 40
    assert rows[rows["model"] == "tfidf"]["retention"].isna().all()
    correct = pd.read_parquet(tmp_path / "rows-d.parquet")
    assert correct["fast/student/2"].sum() == 170
    assert correct["tfidf"].sum() == 100


def test_bounds_read_as_fractions() -> None:
    assert [bound_text(bound) for bound in (0.02, 0.1, 1 / 3, 0.15)] == [
        "1/50",
        "1/10",
        "1/3",
        "15.0 %",
    ]


@pytest.mark.parametrize(
    "data", [("d",), pytest.param(("d", "e", "f"), marks=pytest.mark.slow)], ids=len
)
def test_the_picture_is_drawn(tmp_path: Path, data: tuple[str, ...]) -> None:
    draw_picture(tmp_path, entries_of(results(data=data)), bounds=[0.02])
    pixels = plt.imread(tmp_path / PICTURE)
    assert pixels.shape[1] > 1000
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 100
    assert (tmp_path / MEAN_PICTURE).is_file() == (len(data) > 1)


def test_labels_cover_neither_labels_nor_points_and_stay_in_the_frame() -> None:
    """Thirty points, twenty of them one above the other, as the variants of one architecture."""
    draw = np.random.default_rng(3)
    figure, axes = plt.subplots(figsize=(8.6, 6.2), dpi=130)
    axes.set_xscale("log")
    axes.set_xlim(2, 20000)
    axes.set_ylim(70, 80)
    xs = [*(65 * (1 + 0.01 * draw.random(20))), *(10 ** (1 + 3 * draw.random(10)))]
    points = np.column_stack([xs, 72 + 6 * draw.random(30)])
    names = [f"variant number {index}" for index in range(30)]
    texts = draw_labels(
        axes,
        points,
        names,
        colors=["black"] * 30,
        bold=[False] * 30,
        line=np.array([[20.0, 71.0], [20.0, 79.0]]),
    )
    frame = axes.get_window_extent()
    pixels = axes.transData.transform(points)
    boxes = [text.get_window_extent() for text in texts]  # as matplotlib itself measures them
    plt.close(figure)
    assert axes.get_xlim() == (2, 20000)
    assert sorted(text.get_text() for text in texts) == sorted(names)
    for index, box in enumerate(boxes):
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
        assert not any(box.overlaps(other) for other in boxes[:index])
        assert not any(box.contains(x, y) for x, y in pixels)


def test_the_picture_can_be_drawn_again_from_the_table(tmp_path: Path) -> None:
    """Of two data sets, with the kinds of change that the table names."""
    found = results(data=("d", "e"))
    factors = {"default": "default", "fast": "speed", "slow": "width", "random": "transfer"}
    write_results(tmp_path, found, factors)
    study = parse_study(
        {
            "seeds": [1, 2],
            "latency_bounds": [0.05],
            "model2vec": None,
            "data": {"d": {}, "e": {}},
            "variants": [
                {**variant, "set": {"transfer_weights.width": 64 + index}}
                for index, variant in enumerate(VARIANTS)
            ],
        }
    )
    stored = stored_entries(tmp_path, study, read_params_file(PROJECT / "params.yaml"))

    def shown(entries: dict[str, list[Entry]]) -> list[tuple[object, ...]]:
        return [
            (
                data,
                one.key,
                one.name,
                one.control,
                round(one.figures.validation, 5),
                one.figures.validation_spread,
                one.timing and round(one.timing.shown_us, 3),
                one.timing and one.timing.model_us is None,
            )
            for data, own in entries.items()
            for one in own
        ]

    assert shown(stored) == shown(entries_of(found))
    assert {one.factor for one in stored[MEAN]} == {*factors.values(), "control"}


def test_without_a_table_there_is_nothing_to_draw_again(tmp_path: Path) -> None:
    with raises("file-missing", "study.csv", str(tmp_path)):
        stored_entries(tmp_path, plan_of().study, {})
