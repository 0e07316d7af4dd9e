"""decant compare A B: two versions side by side, and the texts they differ on."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import click
import pandas as pd
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from decant.figures import metrics_file
from decant.figures.figure_text import one_line
from decant.runtime.errors import UserError
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

    Shows at most --texts of the rows where their labels differ, sorted by the higher of their
    probabilities.
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
    differing = surest_first(found.differing)
    if csv:
        _write_csv(differing, csv)
    if as_json:
        click.echo(json.dumps(as_object(found, names), ensure_ascii=False))
        return
    console = open_console()
    _show(found, names, differing.head(texts), console)
    if csv:
        console.print(f"{len(differing)} differing texts: {csv}")


def surest_first(differing: pd.DataFrame) -> pd.DataFrame:
    """By the larger of the two probabilities; equal ones in the order of the test split."""
    surest = differing[["new_probability", "old_probability"]].max(axis=1)
    order = surest.sort_values(ascending=False, kind="stable").index
    return differing.loc[order].reset_index(drop=True)


def _write_csv(differing: pd.DataFrame, file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        differing.to_csv(file, index=False)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}", code="path-unwritable") from None


def as_object(found: Comparison, names: list[str]) -> dict[str, object]:
    content = dataclasses.asdict(dataclasses.replace(found, differing=pd.DataFrame()))
    content |= {"a": names[0], "b": names[1], "retention": found.retention}
    for side, figures in (("new", found.new), ("old", found.old)):
        worst = metrics_file.as_json(figures.worst_class)
        content[side] = dataclasses.asdict(figures) | {"worst_class": worst}
    content["differing"] = found.differing.to_dict("records")
    return content


def _show(found: Comparison, names: list[str], texts: pd.DataFrame, console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("", *names):
        table.add_column(column)
    for name, form, field in (
        ("test accuracy", ".2%", "accuracy"),
        ("macro F1", ".3f", "macro_f1"),
        ("calibration error (ECE)", ".3f", "ece"),
        ("size, bytes", ",", "size_bytes"),
    ):
        values = [getattr(one, field) for one in (found.new, found.old)]
        table.add_row(name, *("" if value is None else format(value, form) for value in values))
    worst = (found.new.worst_class, found.old.worst_class)
    table.add_row(
        "recall of the worst class",
        *(Text(f"{one.recall:.1%} ({one_line(one.label)})") for one in worst),
    )
    console.print(table)
    for line in _lost_classes(found):
        console.print(Text(line, style="red"))
    how = "both run again on A's test split" if found.asked_again else "the same test split"
    low, high = found.difference_interval
    console.print(
        f"{found.rows:,} rows, {how}: A - B {found.difference:+.2%} ({low:+.2%} to {high:+.2%}), "
        f"McNemar p = {found.p_value:.3g} ({found.only_new} right only by A, {found.only_old} "
        "only by B)"
    )
    if found.faster:
        console.print(
            f"A answers one text {found.faster.median:.2f} times as fast as B "
            f"({found.faster.low:.2f} to {found.faster.high:.2f})"
        )
    if not len(found.differing):
        console.print("they give every row the same label")
        return
    console.print(f"they differ on {len(found.differing):,} rows, the most certain first:")
    rows = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("label", "A", "B", "text"):
        rows.add_column(column, no_wrap=column != "text")
    for row in texts.to_dict("records"):
        cells = [
            Text(
                f"{row[side]} {row[f'{side}_probability']:.2f}",
                style="green" if row[side] == row["label"] else "red",
            )
            for side in ("new", "old")
        ]
        rows.add_row(Text(str(row["label"])), *cells, Text(str(row["text"])))
    console.print(rows)


def _lost_classes(found: Comparison) -> Iterator[str]:
    for name, other, figures in (("A", "B", found.new), ("B", "A", found.old)):
        for label, rows in figures.lost_classes.items():
            yield f"{name} has none right of '{one_line(label)}' ({rows:,} test rows); {other} has"
