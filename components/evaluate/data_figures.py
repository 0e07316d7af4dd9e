"""What the figures were measured on."""

import hashlib
import json
from pathlib import Path

from components.evaluate.labelled_rows import LabelledRows
from decant.data.corpus import SPLITS, read_schema, split_rows
from decant.figures.quality_figures import DataFigures, SplitRows
from decant.figures.target_figures import TargetFacts
from decant.tasks.labels import column_of
from decant.tasks.spec import metric_of
from decant.tasks.task import Task


def data_figures(corpus: Path, test: LabelledRows) -> DataFigures:
    """Of the corpus and its test rows."""
    schema = read_schema(corpus)
    task = schema.task
    return DataFigures(
        task=task.kind,
        metric=None if task.is_classes_alone else task.metric,
        targets=None if task.is_classes_alone else _targets(task),
        text_column=schema.text_column,
        label_column=", ".join(one.column for one in task.targets),
        labels=task.outputs,
        rows=SplitRows(**{split: split_rows(corpus, split) for split in SPLITS}),
        test_digest=_digest(task, test),
    )


def _targets(task: Task) -> tuple[TargetFacts, ...]:
    found = []
    for target in task.targets:
        metric = metric_of(target)
        found.append(
            TargetFacts(
                name=target.name,
                kind=target.kind,
                column=target.column,
                metric=target.metric,
                metric_title=metric.title,
                metric_is_share=metric.is_share,
                weight=target.weight,
                labels=target.outputs,
            )
        )
    return tuple(found)


def _digest(task: Task, test: LabelledRows) -> str:
    """SHA-256 of ids, texts and labels."""
    digest = hashlib.sha256()
    columns = ["row_id", "text", *(column_of(task, target) for target in task.targets)]
    for row in zip(*(test.table.column(name).to_pylist() for name in columns), strict=True):
        digest.update(json.dumps(list(row), ensure_ascii=False).encode() + b"\n")
    return digest.hexdigest()
