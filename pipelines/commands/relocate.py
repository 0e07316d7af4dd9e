"""decant relocate: correct the locations of the local MLflow store after it was moved."""

import click

from decant.tracking.moved_store import relocate


@click.command("relocate")
def relocate_command() -> None:
    """Correct the locations in the local MLflow store after its folder was moved or copied.

    MLflow keeps absolute paths. This rewrites those whose files are beside the database now, and
    refuses where the files of a version are not. It changes nothing on a server.
    """
    found = relocate()
    for folder, number in found.items():
        click.echo(f"{number} locations that named {folder} are here")
    if not found:
        click.echo("nothing to correct")
