"""The tables of the report: cells ready to print."""

from collections.abc import Mapping

from components.evaluate.exported_manifest import Quantisation
from components.evaluate.tested_models import BERT_BASE, STUDENT_FLOAT32, TEACHER_INT8
from decant.figures.evaluation_figures import Figures
from decant.figures.figure_text import (
    one_line,
    share,
    share_range,
    thread_count,
    times,
    times_range,
)
from decant.figures.quality_figures import DataFigures, Difference, ExportedFigures
from decant.figures.target_figures import TargetFacts
from decant.tasks.report_parts import NONE, SHOWN_LABEL, Table, cut
from decant.tasks.tables import summary
from decant.tasks.task import Target

Titles = Mapping[str, str]
_SHOWN_LABELS = 30
_SLOWER = {  # what the student is timed against
    "teacher": "its teacher: ",
    TEACHER_INT8: "its teacher as ",
    STUDENT_FLOAT32: "itself as ",
    BERT_BASE: "",
}


def data_rows(figures: Figures) -> list[tuple[str, str]]:
    """What was evaluated and where: pairs of a name and its text."""
    data, machine, rows = figures.data, figures.machine, figures.data.rows
    return [
        ("columns", f"text '{data.text_column}', label '{data.label_column}'"),
        *_label_rows(figures),
        ("labelled rows", f"{rows.train:,} train, {rows.validation:,} validation"),
        ("transfer set", f"{rows.unlabelled:,} rows without labels"),
        ("test rows", f"{rows.test:,} (digest {data.test_digest[:16]}…)"),
        ("teacher", figures.teacher.encoder),
        ("student", _described(figures.student)),
        (
            "machine",
            f"{machine.cpu}, {machine.cores} cores, {thread_count(machine.threads)} per call, "
            f"{machine.runtime}",
        ),
        ("seed", str(figures.method.seed)),
    ]


def _label_rows(figures: Figures) -> list[tuple[str, str]]:
    """The labels, or what each target is."""
    data = figures.data
    if data.targets is None:
        return [("labels", _listed(data.labels))]
    test_rows = {name: one.rows for name, one in (figures.student.targets or {}).items()}
    several = len(data.targets) > 1
    rows = []
    for target in data.targets:
        weight = f", weight {target.weight:g}" if several else ""
        text = f"{target.kind}, judged by {target.metric_title}{weight}"
        if several:
            text += f"; {test_rows[target.name]:,} test rows"
        if target.labels != (target.name,):
            text += f"; {len(target.labels)} labels: {_names(target.labels)}"
        rows.append((f"target '{one_line(target.name)}'" if several else "target", text))
    return rows


def _listed(labels: tuple[str, ...]) -> str:
    return f"{len(labels)}: {_names(labels)}"


def _names(labels: tuple[str, ...]) -> str:
    shown = ", ".join(cut(label, SHOWN_LABEL) for label in labels[:_SHOWN_LABELS])
    if len(labels) > _SHOWN_LABELS:
        shown += f" and {len(labels) - _SHOWN_LABELS} more"
    return shown


def _described(model: ExportedFigures) -> str:
    return ", ".join(text for text in (model.architecture, model.form) if text is not None)


def quality_table(figures: Figures, titles: Titles) -> Table:
    """Accuracy, F1, calibration and size of every model; of another task the scores."""
    if figures.data.targets is None:
        return _table_of_classes(figures, titles)
    score, targets = figures.data.score, figures.data.targets
    of_each = targets if len(targets) > 1 else ()
    rows = []
    for name, model in figures.models().items():
        assert model.targets is not None
        rows.append(
            [
                titles[name],
                score.text(model.score),
                score.range(model.score_interval),
                *(_target_score(figures, one, model.targets[one.name].score) for one in of_each),
                *_size(model),
            ]
        )
    constant = figures.controls.majority
    answers = constant.targets or {}
    answer = answers[targets[0].name].answer if not of_each else "the best answer of each target"
    constants = (_target_score(figures, one, answers[one.name].score) for one in of_each)
    rows.append(
        [f"always {cut(answer, 60)}", score.text(constant.score), NONE, *constants, NONE, NONE]
    )
    columns = [f"{one.name}: {one.metric_title}" for one in of_each]
    return Table(
        columns=["model", score.title, "95 % interval", *columns, "parameters", "size (MB)"],
        rows=rows,
    )


def _table_of_classes(figures: Figures, titles: Titles) -> Table:
    rows = []
    for name, model in figures.models().items():
        rows.append(
            [
                titles[name],
                share(model.accuracy),
                share_range(model.accuracy_interval),
                f"{model.macro_f1:.3f}",
                share(model.worst_class.recall) if model.worst_class else NONE,
                f"{model.ece:.3f}",
                *_size(model),
            ]
        )
    majority = figures.controls.majority
    always = f"always '{cut(majority.label or '', SHOWN_LABEL)}'"
    rows.append([always, share(majority.accuracy), *[NONE] * 6])
    return Table(
        columns=[
            "model",
            "accuracy",
            "95 % interval",
            "macro-F1",
            "worst class's recall",
            "ECE",
            "parameters",
            "size (MB)",
        ],
        rows=rows,
    )


def target_table(figures: Figures, facts: TargetFacts, target: Target, titles: Titles) -> Table:
    """All figures of one target, a line per model."""
    score = figures.data.score_of(facts.name)
    rows = []
    columns: list[str] = []
    for name, model in figures.models().items():
        assert model.targets is not None
        found = model.targets[facts.name]
        cells = summary(target, found)
        cells.pop(score.title, None)
        columns = [*cells]
        rows.append(
            [
                titles[name],
                score.text(found.score),
                score.range(found.score_interval),
                *cells.values(),
            ]
        )
    return Table(columns=["model", score.title, "95 % interval", *columns], rows=rows)


def _target_score(figures: Figures, target: TargetFacts, score: float) -> str:
    return figures.data.score_of(target.name).text(score)


def _size(model: object) -> list[str]:
    """Parameters and size; of a control without them `-`."""
    if not isinstance(model, ExportedFigures):
        return [NONE, NONE]
    return [f"{model.parameters:,}", f"{model.size_bytes / 1e6:,.2f}"]


def difference_table(figures: Figures, titles: Titles) -> Table:
    """How far the student is from each other model, with the paired intervals."""
    score = figures.data.score
    found = {name: figures.differences.get(f"student_minus_{name}") for name in titles}
    rows = []
    for name, difference in found.items():
        if difference is None:
            continue
        text = f"student minus {titles[name]}"
        rows.append(
            [
                text,
                score.difference(difference.score),
                score.difference_range(difference.interval),
            ]
        )
        rows += _target_differences(figures, difference, text)
    return Table(columns=[score.title, "difference", "95 % interval, paired"], rows=rows)


def _target_differences(figures: Figures, difference: Difference, text: str) -> list[list[str]]:
    rows = []
    for name, one in (difference.targets or {}).items():
        score = figures.data.score_of(name)
        rows.append(
            [
                f"{text}, {name}: {score.title}",
                score.difference(one.score),
                score.difference_range(one.interval),
            ]
        )
    return rows


def together_table(figures: Figures) -> Table:
    """By target, the student beside one that was trained for this target alone."""
    rows = []
    for name, alone in (figures.controls.alone or {}).items():
        text = figures.data.score_of(name)
        rows.append(
            [
                f"{one_line(name)}: {text.title}",
                text.text(alone.score + alone.difference),
                text.text(alone.score),
                text.difference(alone.difference),
                text.difference_range(alone.difference_interval),
            ]
        )
    return Table(
        columns=["target", "together", "alone", "difference", "95 % interval, paired"], rows=rows
    )


def latency_table(figures: Figures, titles: Titles) -> Table:
    """Percentiles of one answer in microseconds, of the model alone and end to end."""
    percentiles = (figures.latency_p50_us, figures.latency_p95_us, figures.latency_p99_us)
    rows = []
    for name, title in titles.items():
        if figures.compared_with.texts.get(name):
            model = [_microseconds(latency[name].model) for latency in percentiles]
            end_to_end = [_microseconds(latency[name].end_to_end) for latency in percentiles]
            throughput = f"{figures.throughput_rows_per_second[name]:,.0f}"
            rows.append([title, *model, *end_to_end, throughput])
    return Table(
        columns=[
            "model",
            *(f"{part} p{p} (µs)" for part in ("model alone", "end to end") for p in (50, 95, 99)),
            f"rows/s at batch {figures.throughput_batch_size}",
        ],
        rows=rows,
    )


def speedup_table(figures: Figures) -> Table:
    """How many times as fast the student is, with the spread of the ratios."""
    ratios, spreads = figures.speedup, figures.speedup_interval
    rows = []
    for title, medians, ranges in (
        ("end to end", ratios.end_to_end, spreads.end_to_end),
        ("model alone", ratios.model, spreads.model),
    ):
        for other, name in _SLOWER.items():
            median, spread = medians.over(other), ranges.over(other)
            if median is not None and spread is not None:
                against = f"{name}{figures.compared_with.over(other)}"
                rows.append([f"{title}, against {against}", times(median), times_range(spread)])
    return Table(columns=["student", "times less time", "5 to 95 % of the blocks"], rows=rows)


def quantisation_table(records: Mapping[str, Quantisation], data: DataFigures) -> Table:
    """By role, the forms that were tried."""
    score = data.score
    rows = [
        [
            f"{role}: {trial.form}",
            NONE if trial.size_bytes is None else f"{trial.size_bytes / 1e6:,.2f}",
            NONE if trial.validation_score is None else score.text(trial.validation_score),
            NONE if trial.label_agreement is None else f"{100 * trial.label_agreement:.2f} %",
            "taken" if trial.form == record.won else trial.reason,
        ]
        for role, record in records.items()
        for trial in (record.float32, *record.tried)
    ]
    same = "same labels" if data.targets is None else "same answers"
    return Table(
        columns=["form", "graph (MB)", f"validation {score.title}", same, "verdict"],
        rows=rows,
        text=True,
    )


def _microseconds(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}"
