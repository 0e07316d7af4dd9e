"""decant promote: move an alias to a version that is not worse than the present one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import JsonValue
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from decant.figures.gate_check import Check, verdict_on
from decant.runtime.errors import UserError
from decant.tracking.model_reference import ModelReference
from pipelines.console import open_console
from pipelines.registry.author import author, commit_here, now
from pipelines.registry.comparison import Comparison, compare, figures_alone
from pipelines.registry.model_argument import MODEL, WHICH, chosen
from pipelines.registry.promotion_gate import (
    PromotionGate,
    check_against,
    check_alone,
    read_gate,
    summary,
)
from pipelines.registry.promotion_history import (
    Decision,
    decide,
    in_words,
    last_that_counts,
    moved_by_hand,
    read_history,
    settle,
)
from pipelines.registry.version_evidence import downloaded
from pipelines.registry.versions import check_alias, registry, version_with_alias, versions_of

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

GATE_FAILED = 1


@click.command("promote")
@click.option(
    "--model", type=MODEL, required=True, help=f"The candidate: {WHICH}; NAME alone: the newest."
)
@click.option("--version", help="The candidate's, where --model does not say it.")
@click.option("--to", "alias", default="champion", show_default=True, help="The alias to move.")
@click.option("--dry-run", is_flag=True, help="Check, and report what would be done.")
@click.option("--force", is_flag=True, help="Promote although the gate fails; needs --reason.")
@click.option("--reason", default="", help="Why; kept in the history.")
@click.option("--params", type=click.Path(path_type=Path), default=Path("params.yaml"))
@click.option("--set", "overrides", multiple=True, help="promotion.KEY=VALUE, repeatable.")
def promote_command(
    model: ModelReference,
    version: str | None,
    alias: str,
    dry_run: bool,
    force: bool,
    reason: str,
    params: Path,
    overrides: tuple[str, ...],
) -> None:
    """Test a version with the gate against the version with the alias, then move the alias.

    Both are evaluated on the candidate's test rows. The thresholds are those of `promotion` in
    params.yaml. Exit code 0: promoted (or champion already), 1: the gate failed, 2: a mistake.

    A decision that was interrupted before the alias was moved is finished first. Where that was a
    promotion and no version is named, nothing else is done: it can be run again.
    """
    if force and not reason.strip():
        raise UserError(
            "--force needs a reason",
            code="option-missing",
            hint="add --reason 'why the gate is wrong'",
        )
    wanted = chosen(model, version)
    name = wanted.name
    gate, seed = read_gate(params, overrides)
    check_alias(alias)
    console = open_console()
    with registry() as client:
        if _settle(client, name, alias, console, dry_run) and not wanted.says_which:
            return
        after = last_that_counts(read_history(client, name, alias))
        before = version_with_alias(client, name, alias)
        candidate = _candidate(client, wanted)
        if str(candidate.version) == before:
            console.print(f"version {before} of {name} is {alias} already")
            return
        versions = {str(one.version): one for one in versions_of(client, name)}
        outcome = _evaluate(client, candidate, versions.get(before or ""), gate, seed)
        _show(outcome, name, str(candidate.version), before, alias, console)
        failed = verdict_on(outcome.checks).reasons
        if failed and not force:
            console.print(f"[bold red]not promoted[/]: {'; '.join(failed)}")
            click.get_current_context().exit(GATE_FAILED)
        if dry_run:
            console.print(f"would make version {candidate.version} of {name} {alias}")
            return
        _unchanged(client, name, alias, before)
        decision = Decision(
            action="promote",
            alias=alias,
            after=after.number if after else 0,
            before=before,
            version=str(candidate.version),
            who=author(),
            when=now(),
            reason=reason.strip(),
            forced=bool(failed),
            commit=commit_here(),
            model_commit=candidate.tags.get("decant.commit", ""),
            figures=outcome.figures,
            failed=failed,
        )
        decide(client, name, decision)
        console.print(in_words(decision, name), markup=False)


@dataclass(frozen=True)
class _Outcome:
    checks: Sequence[Check]
    comparison: Comparison | None
    figures: Mapping[str, JsonValue]


def _evaluate(
    client: "MlflowClient",
    candidate: "ModelVersion",
    champion: "ModelVersion | None",
    gate: PromotionGate,
    seed: int,
) -> _Outcome:
    both = [candidate] if champion is None else [candidate, champion]
    with downloaded(client, *both) as evaluated:
        alone = figures_alone(evaluated[0])
        if champion is None:
            return _Outcome(check_alone(gate, alone), None, summary(None, alone))
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("timing both", total=gate.latency_texts)
            found = compare(
                *evaluated,
                samples=gate.bootstrap_samples,
                latency_texts=gate.latency_texts,
                seed=seed,
                advance=lambda texts: progress.advance(task, texts),
            )
    return _Outcome(check_against(gate, found), found, summary(found, found.new))


def _candidate(client: "MlflowClient", wanted: ModelReference) -> "ModelVersion":
    versions = [one for one in versions_of(client, wanted.name) if one.status == "READY"]
    if not versions:
        raise UserError(
            f"{wanted.name} has no version that is ready",
            code="model-version-unknown",
            hint="register one first",
        )
    if not wanted.says_which:
        return versions[0]
    for one in versions:
        if str(one.version) == wanted.version or wanted.alias in one.aliases:
            return one
    there = ", ".join(str(one.version) for one in versions)
    raise UserError(
        f"there is no {wanted} that is ready",
        code="model-version-unknown",
        hint=f"there are: {there}",
    )


def _settle(client: "MlflowClient", name: str, alias: str, console: Console, dry_run: bool) -> bool:
    """Finish an interrupted promotion, and report an alias that was moved by hand.

    Returns whether a promotion was finished.
    """
    versions_of(client, name)  # an unknown model is reported
    entries = read_history(client, name, alias)
    last = last_that_counts(entries)
    finished = False
    if last and not last.done:
        what = escape(in_words(last.decision, name))
        words = f"decision {last.number} had not moved the alias: {what}"
        if dry_run:
            console.print(f"[yellow]{words}; would be finished first[/]")
        else:
            settled = settle(client, name, alias)
            is_void = settled is not None and settled.void
            finished = last.decision.action == "promote" and not is_void
            done = f"given up: version {last.decision.version} is gone" if is_void else "done now"
            console.print(f"[yellow]{words}; {done}[/]")
    if hand := moved_by_hand(client, name, alias):
        console.print(
            f"[yellow]by the history {alias} is version {hand[0]}, but it was moved by hand to "
            f"{hand[1] or 'no version'}; comparing with that[/]"
        )
    return finished


def _unchanged(client: "MlflowClient", name: str, alias: str, before: str | None) -> None:
    now_there = version_with_alias(client, name, alias)
    if now_there != before:
        raise UserError(
            f"nothing was moved: meanwhile {alias} of {name} is version {now_there}",
            code="decision-conflict",
            hint="promote again, against that one",
        )


def _show(
    outcome: _Outcome,
    name: str,
    version: str,
    champion: str | None,
    alias: str,
    console: Console,
) -> None:
    found = outcome.comparison
    if found is None:
        title = f"version {version} of {name}; there is no {alias} yet to compare it with"
    else:
        how = (
            "the test splits differ: both answered again, on the candidate's"
            if found.asked_again
            else "the same test split"
        )
        title = f"version {version} of {name} against {alias}, version {champion}"
        title += f"; {found.rows:,} rows, {how}"
    console.print(title)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("", "measured", "demanded", ""):
        table.add_column(column)
    for check in outcome.checks:
        style = "green" if check.passed else "bold red"
        table.add_row(
            check.name,
            check.measured,
            check.demanded,
            Text("ok" if check.passed else "failed", style=style),
        )
    console.print(table)
