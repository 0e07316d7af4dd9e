"""decant models: registered versions, their quality and their aliases."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from components.register.version_tags import METRIC_TAG, TASK_TAG
from decant.tasks.kinds import kinds
from decant.tasks.spec import metrics as metrics_of
from decant.tasks.task import CLASSES
from decant.tracking.model_reference import ModelReference
from pipelines.console import open_console
from pipelines.registry.model_argument import MODEL, WHICH
from pipelines.registry.promotion_history import in_words, read_history
from pipelines.registry.versions import find_version, model_names, registry, versions_of

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

_COLUMNS = (
    "model",
    "version",
    "aliases",
    "test",
    "metric",
    "of teacher",
    "ECE",
    "times faster",
    "gate",
    "age",
    "commit",
    "run",
)


@click.command("models")
@click.option(
    "--model", type=MODEL, help=f"Only this model, with its history: NAME; one version: {WHICH}."
)
@click.option("--alias", default="champion", show_default=True, help="Whose history.")
def models_command(model: ModelReference | None, alias: str) -> None:
    """Show the versions of registered models, the newest first.

    A table on a terminal, else lines separated by tabs.
    """
    console = open_console()
    with registry() as client:
        names = [model.name] if model else model_names(client)
        if model and model.says_which:
            rows = [_row(client, model.name, find_version(client, model))]
        else:
            rows = [_row(client, one, each) for one in names for each in versions_of(client, one)]
        if not console.is_terminal:
            click.echo("\t".join(_COLUMNS))
            for row in rows:
                click.echo("\t".join(row))
        elif rows:
            console.print(_table(rows))
        else:
            console.print("no registered models")
        if model:
            for entry in read_history(client, model.name, alias):
                lost = "" if entry.counts else " (came too late: does not count)"
                console.print(f"{in_words(entry.decision, model.name)}{lost}", markup=False)


def age(milliseconds: int, *, now: datetime | None = None) -> str:
    """Such as `3 d`, `5 h`, `12 min`, of a time in milliseconds since 1970."""
    passed = (now or datetime.now(UTC)) - datetime.fromtimestamp(milliseconds / 1000, UTC)
    minutes = max(0, int(passed.total_seconds() // 60))
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} d"


def task_of(version: "ModelVersion") -> tuple[str, str]:
    """The kind of its target, or `several`, and by which metric models are chosen."""
    return version.tags.get(TASK_TAG, CLASSES), version.tags.get(METRIC_TAG, "accuracy")


def _is_share(kind: str, metric: str) -> bool:
    """Of several targets the score may be a mean of shares and correlations."""
    return kind in kinds() and metric in metrics_of(kind) and metrics_of(kind)[metric].is_share


def _row(client: "MlflowClient", name: str, version: "ModelVersion") -> tuple[str, ...]:
    metrics = _metrics(client, str(version.run_id or ""))
    kind, metric = task_of(version)
    score = "student.accuracy" if metric == "accuracy" else "student.score"

    def shown(key: str, form: str) -> str:
        return format(metrics[key], form) if key in metrics else ""

    passed = metrics.get("gate_passed")
    return (
        name,
        str(version.version),
        ", ".join(version.aliases),
        shown(score, ".1%" if _is_share(kind, metric) else ".3f"),
        metric,
        shown("student.retention", ".1%"),
        shown("student.ece", ".3f"),
        shown("speedup.end_to_end.vs_teacher", ".1f"),
        "" if passed is None else "passed" if passed else "failed",
        age(version.creation_timestamp),
        version.tags.get("decant.commit", "")[:12],
        str(version.run_id or "")[:8],
    )


def _metrics(client: "MlflowClient", run_id: str) -> dict[str, float]:
    """Figures of the run that registered it; empty where that run was deleted."""
    from mlflow.exceptions import MlflowException

    if not run_id:
        return {}
    try:
        metrics: dict[str, float] = dict(client.get_run(run_id).data.metrics)
    except MlflowException:
        return {}
    if {"student.accuracy", "student.score"} & {*metrics}:
        metrics.setdefault("gate_passed", 1.0)  # what did not pass is not registered
    return metrics


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in _COLUMNS:
        table.add_column(column)
    for row in rows:
        style = "bold" if row[2] else ""
        table.add_row(*(Text(cell, style=style) for cell in row))
    return table
