"""decant lineage: from a registered model back to commit, parameters, data, runs."""

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from decant.tracking.model_reference import ModelReference
from pipelines.console import open_console
from pipelines.registry.model_argument import MODEL, WHICH, chosen
from pipelines.registry.versions import find_version, registry
from pipelines.reproduction.checkout import absent, changed_params, committed, unknown_params
from pipelines.reproduction.version_lineage import Lineage, read_lineage

_DIGITS = 12  # of a digest, on the screen; --json has all
_UNKNOWN = "not recorded"


@click.command("lineage")
@click.option("--model", type=MODEL, required=True, help=f"{WHICH}; NAME alone: the newest.")
@click.option("--version", help="The version, where --model does not say it.")
@click.option("--alias", help="Or the version that has this alias.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, digests in full.")
def lineage_command(
    model: ModelReference, version: str | None, alias: str | None, as_json: bool
) -> None:
    """Show what a version was made from, and the run of every step behind it."""
    lineage = lineage_of(chosen(model, version, alias))
    if as_json:
        machine = lineage.machine.model_dump() if lineage.machine else {}
        content = {**dataclasses.asdict(lineage), "machine": machine}
        click.echo(json.dumps(content, ensure_ascii=False))
        return
    console = open_console()
    _show_origin(lineage, console)
    _show_steps(lineage, console)


def lineage_of(model: ModelReference) -> Lineage:
    """Raises UserError for an unknown model or version."""
    with registry() as client:
        return read_lineage(client, find_version(client, model))


def _show_origin(lineage: Lineage, console: Console) -> None:
    aliases = f" ({', '.join(lineage.aliases)})" if lineage.aliases else ""
    console.print(f"[bold]{escape(lineage.name)}/{lineage.version}[/]{escape(aliases)}")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for key, value in _origin(lineage):
        table.add_row(key, Text(value or _UNKNOWN))
    console.print(table)
    console.print()


def _origin(lineage: Lineage) -> list[tuple[str, str]]:
    commit = lineage.commit and f"{lineage.commit}{_remark(lineage)}"
    rows = [("registered", _when(lineage.created)), ("commit", commit)]
    rows += _params(lineage)
    rows.append(("dvc.lock", _lock(lineage)))
    for source in sorted({*lineage.sources, *lineage.pins}):
        rows.append((source, lineage.sources.get(source, "")))
        rows.append(("", lineage.pins.get(source, "")))
    rows.append(("task", f"{lineage.task}, judged by {lineage.metric}"))
    rows.append(("test rows", lineage.test_digest))
    facts = ", ".join(f"{key} {value}" for key, value in sorted(lineage.machine or ()))
    rows.append(("evaluated on", facts))
    return rows


def _params(lineage: Lineage) -> list[tuple[str, str]]:
    """Compared with the commit's params.yaml; parameters without a run are reported as unknown."""
    unknown = unknown_params(lineage)
    if not any(run.params for run in lineage.steps):
        return [("parameters", "")]
    changes = changed_params(lineage) if lineage.commit else None
    if changes is None:
        words = "recorded (--json lists them); there is no params.yaml here to compare them with"
        return [("parameters", words)]
    same = "no recorded one differs from params.yaml" if unknown else "as committed"
    rows = [("parameters", "params.yaml, but" if changes else same)]
    rows += [("", f"{key} = {value}") for key, value in sorted(changes.items())]
    if unknown:
        rows.append(("", f"{_UNKNOWN}: {', '.join(unknown)}"))
    return rows


def _remark(lineage: Lineage) -> str:
    if problem := absent(lineage.commit):
        if problem.code == "commit-unknown":
            return f", which this repository does not have ({problem.hint})"
        return f", with which nothing is compared: {problem.problem} ({problem.hint})"
    return ", with files that differed from it" if lineage.dirty else ""


def _lock(lineage: Lineage) -> str:
    """The digest, and whether it is the committed one."""
    content = committed(lineage.commit, "dvc.lock") if lineage.commit else None
    if not lineage.dvc_lock or content is None:
        return lineage.dvc_lock
    from hashlib import sha256

    is_same = sha256(content).hexdigest() == lineage.dvc_lock
    return lineage.dvc_lock + (", as committed" if is_same else ", not the committed one")


def _show_steps(lineage: Lineage, console: Console) -> None:
    if not lineage.steps:
        console.print("the version names no runs of steps")
        return
    own = next((run.parent_id for run in lineage.steps if run.step == "register"), "")
    table = _table("step", "run", "status", "started", "took", "identity")
    data = _table("step", "read", "made")
    for run in lineage.steps:
        earlier = " (earlier execution)" if run.parent_id and run.parent_id != own else ""
        table.add_row(
            run.step,
            run.run_id,
            f"{run.status or 'gone'}{earlier}",
            _when(run.started),
            "" if run.seconds is None else f"{run.seconds:,.0f} s",
            run.identity[:_DIGITS],
        )
        data.add_row(run.step, _digests(run.inputs), _digests(run.artifacts))
    console.print(table)
    console.print()
    console.print(data)


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _digests(digests: Mapping[str, str]) -> Text:
    shown = [f"{key} {_short(value)}" for key, value in sorted(digests.items())]
    return Text(", ".join(shown) or _UNKNOWN)


def _short(digest: str) -> str:
    """Its first digits; a pin such as `sha256:...` keeps its kind, a revision may be short."""
    kind, colon, digits = digest.rpartition(":")
    return f"{kind}{colon}{digits[:_DIGITS]}"


def _when(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
