"""decant rollback: move an alias back to the version that had it before."""

from collections.abc import Sequence

import click

from decant.runtime.errors import UserError
from decant.tracking.model_reference import ModelReference
from pipelines.console import open_console
from pipelines.registry.author import author, commit_here, now
from pipelines.registry.model_argument import MODEL, WHICH, chosen
from pipelines.registry.promotion_history import (
    Decision,
    Entry,
    decide,
    in_words,
    last_that_counts,
    promotions_in_effect,
    read_history,
    settle,
)
from pipelines.registry.versions import (
    check_alias,
    find_version,
    registry,
    version_with_alias,
    versions_of,
)


@click.command("rollback")
@click.option(
    "--model",
    type=MODEL,
    required=True,
    help=f"{WHICH}, to move to; NAME alone: the version before, by the history.",
)
@click.option("--to", "alias", default="champion", show_default=True, help="The alias to move.")
@click.option("--version", help="Version to move to, where --model does not say it.")
@click.option("--dry-run", is_flag=True, help="Report what would be done.")
@click.option("--reason", required=True, help="Why; kept in the history.")
def rollback_command(
    model: ModelReference, alias: str, version: str | None, dry_run: bool, reason: str
) -> None:
    """Move an alias back, at once and without a gate. Repeated, it goes back further.

    A decision that was interrupted before the alias was moved is finished first. Where that was
    this rollback, nothing else is done: it can be run again without going back twice.
    """
    if not reason.strip():
        raise UserError(
            "--reason is empty",
            code="option-value",
            hint="give a reason: it is kept in the history",
        )
    check_alias(alias)
    asked = chosen(model, version)
    name = asked.name
    console = open_console()
    with registry() as client:
        there = {str(one.version): one for one in versions_of(client, name)}
        wanted = str(find_version(client, asked).version) if asked.alias else asked.version
        if not dry_run and (finished := settle(client, name, alias)):
            of_then = finished.decision
            done = "gave up, since its version is gone," if finished.void else "finished"
            console.print(f"{done} what had broken off: {in_words(of_then, name)}", markup=False)
            is_this = of_then.action == "rollback" and wanted in ("", of_then.version)
            if is_this and not finished.void:
                return
        entries = read_history(client, name, alias)  # before the alias: what follows loses the race
        after = last_that_counts(entries)
        before = version_with_alias(client, name, alias)
        if after and not after.done and not dry_run:
            raise UserError(
                f"nothing was moved: another decision was made at the same time: "
                f"{in_words(after.decision, name)}",
                code="decision-conflict",
                hint="look at it with `decant models`, then decide again",
            )
        target = wanted or _previous(entries, name, alias, before)
        if target not in there:
            raise UserError(
                f"version {target} of {name} does not exist any more",
                code="model-version-unknown",
                hint=f"give another with --version: {', '.join(there)}",
            )
        if target == before:
            console.print(f"version {before} of {name} is {alias} already")
            return
        decision = Decision(
            action="rollback",
            alias=alias,
            after=after.number if after else 0,
            before=before,
            version=target,
            who=author(),
            when=now(),
            reason=reason.strip(),
            forced=False,
            commit=commit_here(),
            model_commit=there[target].tags.get("decant.commit", ""),
            figures={},
            failed=[],
        )
        if dry_run:
            console.print(f"would give {alias} of {name} from version {before} to {target}")
            return
        decide(client, name, decision)
        console.print(in_words(decision, name), markup=False)


def _previous(entries: Sequence[Entry], name: str, alias: str, present: str | None) -> str:
    """The version before, by the history; its present one where the alias was moved by hand."""
    held = [entry.decision for entry in promotions_in_effect(entries)]
    if held and held[-1].version != present:
        return held[-1].version
    # a promotion records the version before, also one that was set by hand
    if held and held[-1].action == "promote" and held[-1].before:
        return held[-1].before
    if len(held) > 1:
        return held[-2].version
    raise UserError(
        f"the history of {name} has no {alias} before version {present or 'none'}",
        code="rollback-impossible",
        hint="give one with --version",
    )
