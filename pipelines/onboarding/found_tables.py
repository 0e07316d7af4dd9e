"""The findings as tables on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipelines.onboarding.data_files import shown_name
from pipelines.onboarding.ingest_trial import Trial
from pipelines.onboarding.parameter_changes import Change, value_at
from pipelines.onboarding.params_text import as_yaml
from pipelines.onboarding.proposal import Proposal

_MOST_CLASSES_SHOWN = 12
_BAR_CHARACTERS = 20
_REJECTED = {
    "duplicate": "repeat an earlier text",
    "leak": "would leak into validation or test",
    "no_text": "without a text",
    "no_label": "without a label",
    "unknown_label": "with a label that is left out",
}


def show_found(found: Proposal, console: Console) -> None:
    """Files, columns, classes, and the facts that decide whether it is worth a run."""
    for block in (_files(found), _columns(found), _classes(found), _facts(found)):
        console.print(block)
        console.print()
    for note in found.notes:
        console.print(Text.assemble(("! ", "bold yellow"), note))
    if found.notes:
        console.print()


def show_changes(
    changes: Sequence[Change],
    present: Mapping[str, Any],
    console: Console,
    *,
    show_present: bool,
) -> None:
    """Each parameter with its value and the reason.

    Args:
        show_present: also the present value that will be replaced.
    """
    table = _table("parameter", "value", "why", *(["instead of"] if show_present else []))
    table.columns[0].no_wrap = True
    table.columns[1].overflow = "fold"
    for change in changes:
        before = as_yaml(value_at(present, change.path)) if show_present else ""
        table.add_row(
            Text(change.path),
            Text(_cut(as_yaml(change.value)), style="bold"),
            Text(change.reason, style="dim"),
            *([Text(_cut(before, 30), style="dim")] if show_present else []),
        )
    console.print(table)
    console.print()


def _files(found: Proposal) -> RenderableType:
    data = found.data
    line = Text.assemble((shown_name(data.source), "bold"))
    for what, one in (("validation", data.validation), ("test", data.test)):
        line.append(f", {what}: {shown_name(one)}" if one else "")
    for one in data.unlabelled:
        line.append(f", without labels: {shown_name(one)}")
    line.append(f"   {found.trial.rows:,} rows, {data.source.format_name}")
    if data.aside:
        line.append(f"   (not read: {', '.join(data.aside)})", style="dim")
    return line


def _columns(found: Proposal) -> Table:
    chosen = {
        found.chosen.text.name: "text",
        found.chosen.label.name: "label",
        found.chosen.group.name: "group",
    }
    labels = {
        column: f"{one.name}: {one.guess.look}" if one.name else one.guess.look
        for one in found.targets
        for column in one.guess.columns
    }
    chosen |= dict.fromkeys(labels, "label")
    reasons = {
        "text": found.chosen.text.reason,
        "label": found.chosen.label.reason,
        "group": found.chosen.group.reason,
    }
    table = _table("column", "used as", "holds", "missing")
    table.columns[3].justify = "right"
    for column in found.columns:
        role = chosen.get(column.name, "")
        used = Text(role, style="bold green") if role else Text("-", style="dim")
        if role:
            used.append(f" ({labels.get(column.name) or reasons[role]})", style="dim")
        missing = f"{column.missing:,}" if column.missing else ""
        table.add_row(Text(column.name), used, Text(column.look()), missing)
    return table


def _classes(found: Proposal) -> Table:
    splits = ("train", "validation", "test")
    table = _table("label" if found.targets else "class", *splits, "")
    for column in table.columns[1:4]:
        column.justify = "right"
    counts = found.trial.classes
    largest = max((sum(one.values()) for one in counts.values()), default=0)
    shown = sorted(counts, key=lambda label: -sum(counts[label].values()))
    for label in shown[:_MOST_CLASSES_SHOWN]:
        rows = counts[label]
        bar = "█" * max(1, round(_BAR_CHARACTERS * sum(rows.values()) / largest))
        table.add_row(Text(label), *(f"{rows[one]:,}" for one in splits), Text(bar, style="cyan"))
    if rest := shown[_MOST_CLASSES_SHOWN:]:
        sums = [f"{sum(counts[label][one] for label in rest):,}" for one in splits]
        table.add_row(Text(f"{len(rest)} more", style="dim"), *sums, "")
    totals = [f"{found.trial.splits[one]:,}" for one in splits]
    table.add_row(Text("all", style="bold"), *totals, "")
    return table


def _facts(found: Proposal) -> Group:
    trial, texts = found.trial, found.texts
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    kept = sum(trial.splits.values())
    table.add_row("rows", f"{trial.rows:,} = {kept:,} kept + {trial.rows - kept:,} rejected")
    for kind, count in trial.rejected.items():
        table.add_row("", f"{count:,} {_REJECTED.get(kind, kind)}{_contradicting(kind, trial)}")
    if trial.splits["unlabelled"]:
        table.add_row("without a label", f"{trial.splits['unlabelled']:,} texts, for distillation")
    table.add_row("labels missing", f"{found.labels.missing:,}")
    table.add_row("length in tokens", texts.tokens_per_text)
    about = "" if texts.exact else "about "
    cut = f"{about}{texts.cut:.1%} are longer" if texts.cut else "none is longer"
    table.add_row("", f"{cut} than tokenize.max_length_tokens, {texts.limit}")
    if not texts.exact:
        table.add_row("", "estimated from words: the encoder is not on this machine yet")
    table.add_row("script", _shares(texts.scripts))
    return Group(table)


def _contradicting(kind: str, trial: Trial) -> str:
    count = trial.contradictions
    return f" ({count:,} of them with another label)" if kind == "duplicate" and count else ""


def _shares(scripts: Mapping[str, float]) -> str:
    shown = [(name, share) for name, share in scripts.items() if share >= 0.001]
    return ", ".join(f"{name} {share:.1%}" for name, share in shown[:5]) or "no letters"


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in columns:
        table.add_column(name)
    return table


def _cut(value: str, characters: int = 80) -> str:
    return value if len(value) <= characters else f"{value[: characters - 1]}…"
