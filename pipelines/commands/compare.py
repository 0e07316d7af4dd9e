"""decant compare A B: two versions side by side, and the texts they differ on."""

import dataclasses
import json
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any

import click
import pandas as pd
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from decant.figures.figure_text import one_line
from decant.runtime.errors import UserError
from decant.tasks.comparison import Compared, shown
from decant.tasks.metric import Metric
from decant.tasks.task import Target
from decant.tracking.model_reference import ModelReference
from pipelines.console import open_console
from pipelines.registry.comparison import Comparison, compare
from pipelines.registry.model_argument import VERSION
from pipelines.registry.promotion_gate import read_gate
from pipelines.registry.version_evidence import downloaded
from pipelines.registry.versions import find_version, registry


@click.command("compare")
@click.argument("new", metavar="A", type=VERSION)
@click.argument("old", metavar="B", type=VERSION)
@click.option("--texts", type=click.IntRange(min=0), default=20, show_default=True)
@click.option("--csv", type=click.Path(path_type=Path), help="Write all differing texts here.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"))
def compare_command(
    new: ModelReference,
    old: ModelReference,
    texts: int,
    csv: Path | None,
    as_json: bool,
    params: Path,
) -> None:
    """Compare versions A and B (NAME/VERSION or NAME@ALIAS) on A's test rows.

    Shows at most --texts of the rows where their answers differ: labels sorted by the higher of
    their probabilities, others by how far they are apart; of several targets those of each.
    """
    gate, seed = read_gate(params)
    with registry() as client:
        versions = [find_version(client, reference) for reference in (new, old)]
        with (
            downloaded(client, *versions) as evaluated,
            Progress(console=Console(stderr=True), transient=True) as progress,
        ):
            task = progress.add_task("timing both", total=gate.latency_texts)
            found = compare(
                *evaluated,
                samples=gate.bootstrap_samples,
                latency_texts=gate.latency_texts,
                seed=seed,
                advance=lambda done: progress.advance(task, done),
            )
            names = [str(one) for one in evaluated]
    if csv:
        _write_csv(_all_differing(found, furthest_first), csv)
    if as_json:
        click.echo(json.dumps(as_object(found, names), ensure_ascii=False))
        return
    console = open_console()
    _show(found, names, console)
    for target, rows in zip(found.task.targets, found.differing, strict=True):
        _show_differing(target if len(found.targets) > 1 else None, rows, texts, console)
    if csv:
        console.print(f"{sum(map(len, found.differing))} differing texts: {csv}")


def furthest_first(differing: pd.DataFrame) -> pd.DataFrame:
    """By how far the answers are apart; equal ones in the order of the test split."""
    return differing.sort_values("apart", ascending=False, kind="stable").reset_index(drop=True)


def _all_differing(
    found: Comparison, ordered: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows
) -> pd.DataFrame:
    """Those of every target; where there are several, the first column names it."""
    frames = [ordered(rows).drop(columns="apart") for rows in found.differing]
    if len(frames) > 1:
        for target, rows in zip(found.task.targets, frames, strict=True):
            rows.insert(0, "target", target.name)
    return pd.concat(frames, ignore_index=True)


def _write_csv(differing: pd.DataFrame, file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        differing.to_csv(file, index=False)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}", code="path-unwritable") from None


def as_object(found: Comparison, names: list[str]) -> dict[str, object]:
    """For --json; of one target its figures stand beside the rest, of several under `targets`."""
    each = {
        target.name: _target_object(found, index) for index, target in enumerate(found.task.targets)
    }
    of_targets: dict[str, object] = (
        next(iter(each.values()))
        if len(each) == 1
        else {
            "new": {"score": found.new.score},
            "old": {"score": found.old.score},
            "teacher_score": found.new.teacher_score,
            "targets": each,
        }
    )
    for side, figures in (("new", found.new), ("old", found.old)):
        of_side = of_targets[side]
        assert isinstance(of_side, dict)
        of_targets[side] = of_side | {"size_bytes": figures.size_bytes}
    return {
        "rows": found.rows,
        "asked_again": found.asked_again,
        **of_targets,
        "faster": dataclasses.asdict(found.faster) if found.faster else None,
        "differing": _all_differing(found).to_dict("records"),
        "a": names[0],
        "b": names[1],
        "retention": found.retention,
    }


def _target_object(found: Comparison, index: int) -> dict[str, object]:
    compared, new, old = found.targets[index], found.new.targets[index], found.old.targets[index]
    metric = new.target.metric
    test: dict[str, object] = {}
    if compared.test:
        test = {**compared.test.counts, "p_value": compared.test.p_value}
    return {
        "new": {metric: new.score, **new.details, "lost_classes": dict(new.lost)},
        "old": {metric: old.score, **old.details, "lost_classes": dict(old.lost)},
        f"teacher_{metric}": new.teacher_score,
        "difference": compared.difference,
        "difference_interval": list(compared.interval),
        **test,
    }


def _show(found: Comparison, names: list[str], console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("", *names):
        table.add_column(column)
    several = len(found.targets) > 1
    for new, old in zip(found.new.targets, found.old.targets, strict=True):
        prefix = f"{new.target.name}: " if several else ""
        values = [shown(one.target, one.details) for one in (new, old)]
        for title in values[0]:
            table.add_row(f"{prefix}{title}", *(Text(one[title]) for one in values))
    sizes = (found.new.size_bytes, found.old.size_bytes)
    table.add_row("size, bytes", *("" if size is None else f"{size:,}" for size in sizes))
    console.print(table)
    for line in _lost_classes(found):
        console.print(Text(line, style="red"))
    how = "both run again on A's test split" if found.asked_again else "the same test split"
    for new, compared, rows in zip(
        found.new.targets, found.targets, found.target_rows, strict=True
    ):
        name = f"{new.target.name}: " if several else ""
        console.print(f"{name}{rows:,} rows, {how}: {_difference(new.metric, compared)}")
    if found.faster:
        console.print(
            f"A answers one text {found.faster.median:.2f} times as fast as B "
            f"({found.faster.low:.2f} to {found.faster.high:.2f})"
        )


def _difference(metric: Metric, compared: Compared) -> str:
    form = "+.2%" if metric.is_share else "+.4f"
    low, high = compared.interval
    words = f"A - B {compared.difference:{form}} ({low:{form}} to {high:{form}})"
    if metric.title != "accuracy":
        words = f"{metric.title}, {words}"
    if compared.test is None:
        return words
    if counts := compared.test.counts:
        return (
            f"{words}, McNemar p = {compared.test.p_value:.3g} ({counts['only_new']} right only by "
            f"A, {counts['only_old']} only by B)"
        )
    return f"{words}, {compared.test.name} p = {compared.test.p_value:.3g}"


def _show_differing(
    target: Target | None, differing: pd.DataFrame, count: int, console: Console
) -> None:
    prefix = f"{target.name}: " if target else ""
    if not len(differing):
        same = "label" if "new_probability" in differing else "answer"
        console.print(f"{prefix}they give every row the same {same}")
        return
    order = "most certain" if "new_probability" in differing else "furthest apart"
    console.print(f"{prefix}they differ on {len(differing):,} rows, the {order} first:")
    rows = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("label", "A", "B", "text"):
        rows.add_column(column, no_wrap=column != "text")
    for row in furthest_first(differing).head(count).to_dict("records"):
        cells = [_answer(row, side) for side in ("new", "old")]
        rows.add_row(_in_words(row["label"]), *cells, Text(str(row["text"])))
    console.print(rows)


def _answer(row: dict[Hashable, Any], side: str) -> Text:
    """Green where it is the label; a number is more or less near."""
    text = _in_words(row[side])
    if f"{side}_probability" in row:
        text.append(f" {row[f'{side}_probability']:.2f}")
    if isinstance(row[side], str):
        text.stylize("green" if row[side] == row["label"] else "red")
    return text


def _in_words(value: object) -> Text:
    return Text(f"{value:.4g}" if isinstance(value, float) else str(value) or "-")


def _lost_classes(found: Comparison) -> Iterator[str]:
    for name, other, figures in (("A", "B", found.new), ("B", "A", found.old)):
        for one in figures.targets:
            for label, rows in one.lost.items():
                label = one_line(label)
                yield f"{name} has none right of '{label}' ({rows:,} test rows); {other} has"
