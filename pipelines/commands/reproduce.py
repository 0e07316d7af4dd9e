"""decant reproduce: make a registered version again, and compare its digests."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from decant.tracking.model_reference import ModelReference
from decant.tracking.moved_store import refuse_moved_store
from decant.tracking.registered_model import exported_folder
from pipelines.commands.lineage import lineage_of
from pipelines.console import open_console
from pipelines.registry.model_argument import MODEL, WHICH, chosen
from pipelines.registry.versions import registry
from pipelines.reproduction.checkout import unknown_params
from pipelines.reproduction.digest_comparison import (
    DIFFERS,
    EQUAL,
    MISSING,
    NOT_RECORDED,
    RESTORED,
    Artifact,
    compare_artifacts,
    compare_files,
    other_machine,
    other_versions,
)
from pipelines.reproduction.rebuild import check_out, rebuild, remove
from pipelines.reproduction.version_lineage import Lineage

_DIGITS = 16
_STYLES = {EQUAL: "green", DIFFERS: "bold red", MISSING: "bold red"}


@click.command("reproduce")
@click.option("--model", type=MODEL, required=True, help=f"{WHICH}; NAME alone: the newest.")
@click.option("--version", help="The version, where --model does not say it.")
@click.option("--alias", help="Or the version that has this alias.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Folder of the worktree; runs/NAME-VERSION by default.",
)
@click.option(
    "--rebuild", "force", is_flag=True, help="Run every step; take nothing from DVC's cache."
)
@click.option("--clean", is_flag=True, help="Remove the worktree at the end.")
@click.pass_context
def reproduce_command(
    ctx: click.Context,
    model: ModelReference,
    version: str | None,
    alias: str | None,
    folder: Path | None,
    force: bool,
    clean: bool,
) -> None:
    """Check out a version's commit, parameters and data, make it again, compare the digests.

    What DVC's cache or remote has is taken from there, the rest is run; nothing is registered.
    Exits with code 0 when everything is equal, 1 when something differs.
    """
    lineage = lineage_of(chosen(model, version, alias))
    folder = folder or Path("runs") / f"{lineage.name}-{lineage.version}"
    console = open_console()
    with _registered_model(lineage) as registered:
        project = check_out(lineage, folder)
        console.print(f"commit {lineage.commit} in {folder}")
        if unknown := unknown_params(lineage):
            console.print(
                f"[yellow]not recorded, so the commit's: the parameters of {', '.join(unknown)}[/]"
            )
        rebuild(project, from_cache=not force)
        found = compare_artifacts(lineage, project) + compare_files(registered, project)
    _show(found, console)
    reproduced = all(artifact.is_reproduced for artifact in found)
    if reproduced:
        console.print(_reproduced(lineage, found))
    else:
        _explain(lineage, found, project, console)
    if clean:
        remove(folder)
    ctx.exit(0 if reproduced else 1)


@contextmanager
def _registered_model(lineage: Lineage) -> Iterator[Path]:
    """Downloaded before anything runs, so that a registry without an answer costs no hours."""
    import mlflow.artifacts

    with tempfile.TemporaryDirectory() as folder:
        with registry():
            refuse_moved_store()
            mlflow.artifacts.download_artifacts(
                f"models:/{lineage.name}/{lineage.version}", dst_path=folder
            )
        exported_folder(Path(folder), f"{lineage.name}/{lineage.version}")
        yield Path(folder)


def _reproduced(lineage: Lineage, found: Sequence[Artifact]) -> str:
    unknown = [one.name for one in found if one.verdict == NOT_RECORDED]
    words = f"{lineage.name}/{lineage.version} is reproduced"
    return f"{words}; without a digest to compare: {', '.join(unknown)}" if unknown else words


def _show(found: Sequence[Artifact], console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("artifact", "recorded", "now", "", ""):
        table.add_column(column, no_wrap=True)
    for one in found:
        table.add_row(
            one.name,
            one.recorded[:_DIGITS],
            one.now[:_DIGITS],
            Text(one.verdict, style=_STYLES.get(one.verdict, "")),
            one.how,
        )
    console.print(table)


def _explain(lineage: Lineage, found: Sequence[Artifact], project: Path, console: Console) -> None:
    console.print(f"{lineage.name}/{lineage.version} is not reproduced")
    if restored := [one.name for one in found if one.verdict == DIFFERS and one.how == RESTORED]:
        console.print(
            f"  from DVC, not made here: {', '.join(restored)}; --rebuild makes them here"
        )
    others = other_versions(lineage, project) | other_machine(lineage)
    for what, words in sorted(others.items()):
        console.print(f"  {what}: {escape(words)}")
    if not others:
        console.print(
            "  the recorded libraries, threads and machine are the same: another GPU or another "
            "number of processes can change the last digits, and with them every digest after "
            "the first"
        )
