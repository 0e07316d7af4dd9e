"""study.md: what was found, a table per data set and of the mean, costs, and how to read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.study.accuracy_latency import PICTURE
from benchmarks.study.metrics import ACCURACY, SCORE, metric_names, score_text
from benchmarks.study.results import COSTS, STUDENT, Result, metrics_by_data
from benchmarks.study.statistics import BASELINE, EQUAL_LATENCY, MEAN, Key
from benchmarks.study.study_findings import bound_text, findings
from benchmarks.study.study_plan import Plan, Run
from benchmarks.study.summary import Entry, best_under
from benchmarks.study.together import Together
from decant.figures.figure_set import Interval
from decant.figures.figure_text import ScoreText
from decant.figures.templates import template_environment
from decant.tasks.task import Task

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
_TOGETHER_COLUMNS = (
    "model",
    "target",
    "score",
    "together",
    "± over seeds",
    "alone",
    "± over seeds",
    "together - alone (95 %)",
)
_COST_COLUMNS = (
    "data",
    "variant",
    "fine-tuning the teacher, s",
    "augmenting, s",
    "labelling by the teacher, s",
    "training the student, s",
    "training on the labels alone, s",
)


@dataclass(frozen=True, kw_only=True)
class _Section:
    """Of a data set, or of the mean: sentences, and a row of cells per model.

    Attributes:
        judged_by: what the score is.
        together: of several targets, rows of each target learned with the others and alone.
    """

    data: str
    judged_by: str
    findings: Sequence[str]
    rows: Sequence[Sequence[str]]
    together: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, kw_only=True)
class _Cost:
    """Of a variant on a data set: mean seconds by the columns of COSTS, None where unknown."""

    data: str
    variant: str
    is_default: bool
    seconds: Mapping[str, float | None]

    @property
    def tuning(self) -> float | None:
        return self.seconds["finetune_seconds"]

    @property
    def training(self) -> float | None:
        return self.seconds["student_training_seconds"]

    @property
    def cells(self) -> list[str]:
        return [self.data, self.variant, *map(_seconds, self.seconds.values())]


def study_page(
    plan: Plan,
    entries: Mapping[str, Sequence[Entry]],
    results: Sequence[Result],
    *,
    together: Mapping[str, Sequence[Together]],
    bounds: Sequence[float],
    failures: Mapping[str, str],
    samples: int,
    texts: int,
    threads: int,
) -> str:
    """The page as Markdown; study.md.j2 has its words.

    Args:
        together: per data set with several targets, each target learned with the others and alone.
        bounds: shares of the teacher's latency below which the best is marked.
        failures: per run that failed its message.
        texts, threads: of the latency.
    """
    environment = template_environment(Path(__file__).parent)
    environment.filters["seconds"] = _seconds
    judged_by = _judged_by(results)
    sections = {
        data: _section(plan, data, own, judged_by[data], together.get(data, ()), bounds)
        for data, own in entries.items()
    }
    costs = _costs(entries, results, bounds)
    page = environment.get_template("study.md.j2").render(
        runs=plan.runs,
        missing=_missing(plan, results),
        mean=sections.pop(MEAN, None),
        sections=list(sections.values()),
        picture=PICTURE,
        columns=_COLUMNS,
        together_columns=_TOGETHER_COLUMNS,
        **_words(results),
        costs=costs,
        cost_columns=_COST_COLUMNS,
        cost_rows=[cost.cells for cost in costs],
        failures={run: message.splitlines()[0] for run, message in failures.items()},
        bounds=[bound_text(bound) for bound in bounds],
        seeds=plan.seeds,
        samples=samples,
        texts=texts,
        threads=threads,
        equal_percent=100 * (EQUAL_LATENCY - 1),
    )
    return f"{page}\n"


def _words(results: Sequence[Result]) -> dict[str, object]:
    """How the page speaks of all its scores; of accuracy alone as before there were others."""
    names = {*metrics_by_data(results).values()}
    scores = [score_text(one) for one in names]
    titles = {score.title for score in scores}
    return {
        "is_accuracy": names <= {ACCURACY},
        "score": titles.pop() if len(titles) == 1 else SCORE,
        "all_shares": all(score.is_share for score in scores),
    }


def _judged_by(results: Sequence[Result]) -> dict[str, str]:
    """Per data set what its score is; under MEAN what it is on all of them."""
    tasks = {result.data: result.test.task for result in results if result.alone is None}
    found = {data: _score_of(task) for data, task in tasks.items()}
    same = len({*found.values()}) == 1
    return {**found, MEAN: next(iter(found.values())) if same else "that of each data set"}


def _score_of(task: Task) -> str:
    score = score_text(metric_names(task))
    unit = ", in per cent" if score.is_share else ""
    if len(task.targets) == 1:
        return f"{score.title}{unit}"
    parts = [
        f"{score_text(target.metric).title} of {target.name} (weight {target.weight:g})"
        for target in task.targets
    ]
    return f"the weighted mean of {', '.join(parts)}{unit}"


def _section(
    plan: Plan,
    data: str,
    entries: Sequence[Entry],
    judged_by: str,
    together: Sequence[Together],
    bounds: Sequence[float],
) -> _Section:
    best: dict[Key, list[float]] = {}
    for bound in bounds:
        if found := best_under(entries, bound):
            best.setdefault(found.key, []).append(bound)
    return _Section(
        data=data,
        judged_by=judged_by,
        findings=findings(entries, bounds),
        rows=[_row(plan, entry, best.get(entry.key, [])) for entry in entries],
        together=[
            _together_row(one)
            for one in together
            if (one.variant, STUDENT) in (BASELINE, *best)  # as with all test figures
        ],
    )


def _together_row(one: Together) -> list[str]:
    metric = one.metric
    return [
        one.variant,
        one.target,
        metric.title,
        _score(metric, one.together),
        _spread(metric, one.together_spread),
        _score(metric, one.alone),
        _spread(metric, one.alone_spread),
        _difference(metric, one.difference, one.difference_interval),
    ]


def _row(plan: Plan, entry: Entry, best_below: Sequence[float]) -> list[str]:
    figures, timing = entry.figures, entry.timing
    metric = figures.metric
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
        _score(metric, figures.validation),
        _spread(metric, figures.validation_spread),
        ""
        if is_default
        else _difference(metric, figures.validation_difference, figures.validation_interval),
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
        _score(figures.metric, figures.score),
        _spread(figures.metric, figures.spread),
        _with_range(figures.retention, figures.retention_interval, "", is_share=True),
    ]


def _costs(
    entries: Mapping[str, Sequence[Entry]], results: Sequence[Result], bounds: Sequence[float]
) -> list[_Cost]:
    """Of the default and of what was chosen by validation, per data set, means over the seeds."""
    costs = []
    for data, own in entries.items():
        if data == MEAN:
            continue
        keys = [BASELINE, *(best.key for bound in bounds if (best := best_under(own, bound)))]
        for key in dict.fromkeys(keys):
            runs = [result for result in results if result.data == data and result.key == key]
            seconds = {column: _mean_seconds(runs, column) for _, _, column in COSTS}
            costs.append(
                _Cost(data=data, variant=key[0], is_default=key == BASELINE, seconds=seconds)
            )
    return costs


def _mean_seconds(results: Sequence[Result], column: str) -> float | None:
    known = [result.seconds[column] for result in results if column in result.seconds]
    return float(np.mean(known)) if known else None


def _missing(plan: Plan, results: Sequence[Result]) -> list[Run]:
    there = {(r.data, r.variant, r.seed) for r in results}
    return [run for run in plan.runs if (run.data, run.variant, run.seed) not in there]


def _score(metric: ScoreText, value: float) -> str:
    return metric.text(value).removesuffix(" %")


def _spread(metric: ScoreText, spread: float | None) -> str:
    return "" if spread is None else _number(spread, "", metric.is_share)


def _difference(metric: ScoreText, value: float | None, bounds: Interval | None) -> str:
    return _with_range(value, bounds, "+", is_share=metric.is_share)


def _with_range(value: float | None, bounds: Interval | None, sign: str, *, is_share: bool) -> str:
    if value is None:
        return ""
    text = _number(value, sign, is_share)
    if bounds is None:
        return text
    low, high = (_number(bound, sign, is_share) for bound in bounds)
    return f"{text} ({low} to {high})"


def _number(value: float, sign: str, is_share: bool) -> str:
    """A share in per cent or points, another number as it is."""
    return f"{100 * value:{sign}.1f}" if is_share else f"{value:{sign}.3f}"


def _microseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _star(model_us: float | None) -> str:
    return " *" if model_us is None else ""


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
