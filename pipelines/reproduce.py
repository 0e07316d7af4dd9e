"""python -m pipelines reproduce: a registered version made anew, and compared by its digests."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.lineage import lineage_of
from pipelines.registry.lineage import Lineage
from pipelines.registry.rebuild import check_out, rebuild, remove
from pipelines.registry.reproduction import (
    EQUAL,
    Artifact,
    compare_artifacts,
    compare_files,
    other_versions,
)
from pipelines.registry.store import registry
from pipelines.registry.terminal import open_console

_DIGITS = 16
_STYLES = {EQUAL: "green", "differs": "bold red", "missing": "bold red"}


@click.command("reproduce")
@click.option("--model", "name", required=True, help="The registered model.")
@click.option("--version", help="Its version; the newest by default.")
@click.option("--alias", help="Or the version that has this alias.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Of the worktree; runs/NAME-VERSION."
)
@click.option(
    "--rebuild", "force", is_flag=True, help="Run every step; take none from DVC's cache."
)
@click.option("--clean", is_flag=True, help="Remove the worktree at the end.")
@click.pass_context
def reproduce_command(
    ctx: click.Context,
    name: str,
    version: str | None,
    alias: str | None,
    folder: Path | None,
    force: bool,
    clean: bool,
) -> None:
    """Check out a version's commit, parameters and data, make it anew, compare the digests.

    What DVC's cache or remote holds is taken from there, the rest is run; nothing is registered.
    Exits with code 0 when everything is equal, 1 when something differs.
    """
    lineage = lineage_of(name, version, alias)
    folder = folder or Path("runs") / f"{lineage.name}-{lineage.version}"
    console = open_console()
    project = check_out(lineage, folder)
    console.print(f"commit {lineage.commit} in {folder}")
    rebuild(project, from_cache=not force)
    with _registered_model(lineage) as model:
        found = compare_artifacts(lineage, project) + compare_files(Path(model), project)
    _show(found, console)
    reproduced = all(artifact.is_reproduced for artifact in found)
    if reproduced:
        console.print(f"{lineage.name}/{lineage.version} is reproduced")
    else:
        _explain(lineage, project, console)
    if clean:
        remove(folder)
    ctx.exit(0 if reproduced else 1)


def _registered_model(lineage: Lineage) -> "tempfile.TemporaryDirectory[str]":
    import mlflow.artifacts

    folder = tempfile.TemporaryDirectory()
    with registry():
        mlflow.artifacts.download_artifacts(
            f"models:/{lineage.name}/{lineage.version}", dst_path=folder.name
        )
    return folder


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


def _explain(lineage: Lineage, project: Path, console: Console) -> None:
    console.print(f"{lineage.name}/{lineage.version} is not reproduced")
    versions = other_versions(lineage, project)
    for library, words in sorted(versions.items()):
        console.print(f"  {library}: {words}")
    if not versions:
        console.print(
            "  the libraries are the same; another processor, GPU or number of threads can change "
            "the last digits, and with them every digest after the first"
        )
