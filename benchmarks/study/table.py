"""study.md: what was found, a table per data set and of the mean, costs, and how to read them."""

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.study.accuracy_latency import PICTURE
from benchmarks.study.results import COSTS, Result
from benchmarks.study.statistics import BASELINE, EQUAL_LATENCY, MEAN, Key
from benchmarks.study.study_findings import bound_text, findings
from benchmarks.study.study_plan import Plan
from benchmarks.study.summary import Entry, best_under
from components.evaluate.bootstrap import Interval
from components.evaluate.findings import share

_COLUMNS = (
    "model",
    "factor",
    "validation",
    "± over seeds",
    "to the default (95 %)",
    "model, µs",
    "times faster",
    "MB",
    "test",
    "± over seeds",
    "of the teacher's (95 %)",
)
_HOW_TO_READ = """\
## How to read this

- Accuracies are means over the seeds {seeds}; `±` is the standard deviation over them.
- Variants are compared and chosen by validation. Test figures stand only beside the default, what
  was chosen, and the controls (`study.csv` has all of them, for those who choose no more).
- Intervals are paired. From n rows n are drawn with replacement, {samples:,} times, and from the
  seeds as many; each time the figure is computed on what was drawn, the same for all models of a
  data set; the interval holds the middle 95 %. For the mean over data sets each one's rows and
  seeds are drawn for themselves. Three seeds say little of how far others could move a figure: read
  `±` too. Where rows come in groups that are alike (a film, a customer) the intervals are somewhat
  too narrow.
- `to the default` is the difference in validation accuracy in points, over the seeds both have.
- `of the teacher's` is the accuracy divided by that of the default's teacher with the same seed.
- Latency is the median over {texts} test texts of the model alone (ONNX Runtime, {threads},
  batch 1), all models of a data set taking turns in one quiet phase after all training. A model
  whose seeds were quantised differently has the time of its slowest form. `*`: with tokenization,
  where the two cannot be told apart. `times faster` is the median over blocks of texts of the
  teacher's time divided by the model's (the default's teacher, the same measure). Of the mean: mean
  times, geometric means of ratios.
- {selection}
- Controls: `undistilled` is the default student trained on the labels alone; TF-IDF and Model2Vec
  have a logistic regression on the same labels with C chosen on validation; the teacher is the
  default's. Rows that the study file marks as controls say `control` after their name.
- In the picture a point below the Pareto front is beaten by one that is more accurate and not more
  than {equal_percent:.0f} % slower.
"""


def study_page(
    plan: Plan,
    entries: Mapping[str, Sequence[Entry]],
    results: Sequence[Result],
    *,
    bounds: Sequence[float],
    failures: Mapping[str, str],
    samples: int,
    texts: int,
    threads: int,
) -> str:
    """The page as Markdown.

    Args:
        bounds: shares of the teacher's latency below which the best is marked.
        failures: per run that failed its message.
        texts, threads: of the latency.
    """
    parts = ["# Study: one factor at a time around the default\n"]
    if unfinished := _unfinished(plan, results):
        parts.append(f"**Not complete**: {unfinished}\n")
    if MEAN in entries:
        names = ", ".join(data for data in entries if data != MEAN)
        parts += [f"## Mean of {names}\n", _section(plan, entries[MEAN], bounds)]
    parts.append(f"![accuracy against latency]({PICTURE})\n")
    for data, own in entries.items():
        if data != MEAN:
            parts += [f"## {data}\n", _section(plan, own, bounds)]
    parts += ["## What a student costs\n", _costs(entries, results, bounds)]
    if failures:
        lines = [f"- {run}: {message.splitlines()[0]}" for run, message in failures.items()]
        parts += ["## Failed\n", "\n".join(lines) + "\n"]
    shares = " and ".join(bound_text(bound) for bound in bounds)
    chosen = (
        f"The best below {shares} of the teacher's latency is chosen by validation accuracy, among "
        "the complete rows that are no controls; the test rows have no say in it."
        if bounds
        else "Nothing is chosen: no bound on the latency was given."
    )
    how = _HOW_TO_READ.format(
        seeds=", ".join(map(str, plan.seeds)),
        samples=samples,
        texts=texts,
        threads=f"{threads} thread{'s' if threads != 1 else ''}",
        selection=chosen,
        equal_percent=100 * (EQUAL_LATENCY - 1),
    )
    return "\n".join([*parts, how])


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    """Args: texts: how many columns, from the left, are text; the others are set right."""
    marks = ["---" if index < texts else "---:" for index in range(len(columns))]
    lines = [columns, marks, *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _section(plan: Plan, entries: Sequence[Entry], bounds: Sequence[float]) -> str:
    said = "".join(f"- {sentence}\n" for sentence in findings(entries, bounds))
    best: dict[Key, list[float]] = {}
    for bound in bounds:
        if found := best_under(entries, bound):
            best.setdefault(found.key, []).append(bound)
    rows = [_row(plan, entry, best.get(entry.key, [])) for entry in entries]
    return f"{said}\n{markdown_table(_COLUMNS, rows, texts=2)}"


def _row(plan: Plan, entry: Entry, best_below: Sequence[float]) -> list[str]:
    figures, timing = entry.figures, entry.timing
    name = f"**{entry.name}**" if entry.key == BASELINE or best_below else entry.name
    notes = ["control"] if entry.control and entry.factor != "control" else []
    notes += [f"best by validation below {bound_text(bound)}" for bound in best_below]
    if not entry.complete:
        notes.append(f"{len(figures.seeds)} of {len(plan.seeds)} seeds")
    if notes:
        name += f" ({', '.join(notes)})"
    is_default = entry.key == BASELINE
    return [
        name,
        entry.factor,
        _percent(figures.validation),
        _points(figures.validation_spread),
        ""
        if is_default
        else _with_range(figures.validation_difference, figures.validation_interval, "+"),
        "" if timing is None else _microseconds(timing.shown_us) + _star(timing.model_us),
        "" if timing is None or timing.faster is None else f"{timing.faster.median:.3g}",
        "" if entry.size_bytes is None else f"{entry.size_bytes / 1e6:.1f}",
        *_on_test(entry, reported=is_default or bool(best_below) or entry.control),
    ]


def _on_test(entry: Entry, *, reported: bool) -> list[str]:
    """Only of what is not chosen from any more: a choice among test figures would spoil them."""
    if not reported:
        return ["", "", ""]
    figures = entry.figures
    return [
        _percent(figures.accuracy),
        _points(figures.spread),
        _with_range(figures.retention, figures.retention_interval, ""),
    ]


def _points(spread: float | None) -> str:
    return "" if spread is None else f"{100 * spread:.1f}"


def _costs(
    entries: Mapping[str, Sequence[Entry]], results: Sequence[Result], bounds: Sequence[float]
) -> str:
    """Of the default and of what was chosen by validation, per data set, means over the seeds."""
    rows, sentences = [], []
    for data, own in entries.items():
        if data == MEAN:
            continue
        keys = [BASELINE, *(best.key for bound in bounds if (best := best_under(own, bound)))]
        for key in dict.fromkeys(keys):
            runs = [result for result in results if result.data == data and result.key == key]
            costs = {column: _mean_seconds(runs, column) for _, _, column in COSTS}
            rows.append([data, key[0], *(_seconds(value) for value in costs.values())])
            tuning, training = costs["finetune_seconds"], costs["student_training_seconds"]
            if key == BASELINE and tuning is not None and training is not None:
                relation = "less" if training < tuning else "**not less**"
                sentences.append(
                    f"- {data}: training the default student alone takes {relation} time than "
                    f"fine-tuning its teacher: {_seconds(training)} and {_seconds(tuning)} s.\n"
                )
    columns = (
        "data",
        "variant",
        "fine-tuning the teacher, s",
        "augmenting, s",
        "labelling by the teacher, s",
        "training the student, s",
        "training on the labels alone, s",
    )
    note = (
        "Seconds as the steps took them, with as many processes side by side as the study was "
        "given (`launch.json` beside each artifact); augmenting and labelling are of the runs "
        "that did it: the others found its result in the cache.\n"
    )
    return f"{''.join(sentences)}\n{markdown_table(columns, rows, texts=2)}\n{note}"


def _mean_seconds(results: Sequence[Result], column: str) -> float | None:
    known = [result.seconds[column] for result in results if column in result.seconds]
    return float(np.mean(known)) if known else None


def _unfinished(plan: Plan, results: Sequence[Result]) -> str:
    there = {(r.data, r.variant, r.seed) for r in results}
    missing = [run for run in plan.runs if (run.data, run.variant, run.seed) not in there]
    if not missing:
        return ""
    return f"{len(missing)} of {len(plan.runs)} runs are missing, the first: {missing[0]}."


def _percent(value: float) -> str:
    return share(value).removesuffix(" %")


def _with_range(value: float | None, bounds: Interval | None, sign: str) -> str:
    if value is None:
        return ""
    text = f"{100 * value:{sign}.1f}"
    if bounds is None:
        return text
    return f"{text} ({100 * bounds[0]:{sign}.1f} to {100 * bounds[1]:{sign}.1f})"


def _microseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _star(model_us: float | None) -> str:
    return " *" if model_us is None else ""


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
