"""decant init SOURCE: from your own file to the parameters that fit it."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from decant.runtime.errors import UserError
from decant.runtime.publishing import publish
from decant.runtime.secrets import without_secrets

if TYPE_CHECKING:
    from pipelines.onboarding.parameter_changes import Change
    from pipelines.onboarding.questions import Questions


@click.command("init")
@click.argument("source")
@click.option("--text-column", metavar="NAME", help="Holds the texts.")
@click.option(
    "--label-column",
    "label_columns",
    metavar="NAME",
    multiple=True,
    help="Holds the labels. Repeatable for a column of 0 and 1 per label.",
)
@click.option("--task", metavar="KIND", help="Kind of the labels; docs: Tasks and targets.")
@click.option(
    "--target",
    "targets",
    metavar="NAME:KIND[:COLUMN]",
    multiple=True,
    help="One of several targets. Repeatable.",
)
@click.option(
    "--option",
    "kind_options",
    metavar="[TARGET.]NAME=VALUE",
    multiple=True,
    help="Of the kind, such as separator=; or minimum=1. Repeatable.",
)
@click.option("--group-column", metavar="NAME", help="Column whose groups never cross splits.")
@click.option("--no-groups", is_flag=True, help="Rows are independent of each other.")
@click.option("--validation", metavar="SOURCE", help="A given validation split.")
@click.option("--test", metavar="SOURCE", help="A given test split.")
@click.option("--unlabelled", metavar="SOURCE", multiple=True, help="More texts. Repeatable.")
@click.option(
    "--class", "classes", metavar="LABEL", multiple=True, help="A class to learn. Repeatable."
)
@click.option(
    "--unlabelled-label",
    "unlabelled_labels",
    metavar="LABEL",
    multiple=True,
    help="A label that marks unlabelled texts. Repeatable.",
)
@click.option(
    "--min-class-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="Leave out classes with fewer rows.",
)
@click.option(
    "--max-length-tokens",
    type=click.IntRange(min=3),
    metavar="N",
    help="Cut texts there.",
)
@click.option("--quick", is_flag=True, help="A first honest answer in minutes; see `run --quick`.")
@click.option("--yes", is_flag=True, help="Take every proposal without a question.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write; by default the source's name with .yaml, in this folder.",
)
@click.option("--force", is_flag=True, help="Replace FILE.")
@click.option("--write", is_flag=True, help="Change params.yaml instead, for `dvc repro`.")
def init_command(
    source: str,
    quick: bool,
    yes: bool,
    output: Path | None,
    force: bool,
    write: bool,
    **answers: Any,
) -> None:
    """Look at your data and write the parameters that fit it.

    SOURCE is a file, a folder with train and test files, or any source URI. Shows what it has and
    asks where that does not decide. Writes a small file of what differs from params.yaml.
    """
    from rich.text import Text

    from decant.runtime.identity import PROJECT
    from decant.runtime.params_file import project_params, read_sections
    from pipelines.console import open_console
    from pipelines.onboarding import params_text
    from pipelines.onboarding.found_tables import show_changes, show_found
    from pipelines.onboarding.presets import QUICK
    from pipelines.onboarding.proposal import Options, propose
    from pipelines.onboarding.questions import Questions

    _check_options(answers, write, output)
    console = open_console()
    questions = Questions(console=console, accept=yes)
    present = read_sections(project_params())
    target = project_params() if write else output or Path(f"{_stem(source)}.yaml")
    _require_free(target, force or write, questions)
    root = PROJECT if write else Path.cwd()
    found = propose(source, present, Options(**answers), questions, root=root)
    changes = found.changes
    if quick:
        changes = with_preset(changes, params_text.commented_values(QUICK), present)
    show_found(found, console)
    show_changes(changes, present, console, show_present=write)
    if write:
        text = params_text.edited(target.read_text("utf-8"), changes)
    else:
        text = params_text.small_file(changes, _heading(source, found.trial.rows, quick))
    _write(target, text)
    command = "dvc repro" if write else f"decant run --params {shlex.quote(str(target))}"
    count = f"{len(changes)} parameter{'s' if len(changes) != 1 else ''}"
    done = f"changed {count} in" if write else f"wrote {count}, each with its reason, to"
    console.print(Text.assemble(f"{done} ", (str(target), "bold")))
    console.print(Text.assemble("next: ", (command, "bold green")))


def with_preset(
    changes: list["Change"], preset: list["Change"], present: Mapping[str, Any]
) -> list["Change"]:
    """The preset's values after the data's, as far as they differ from the present ones."""
    from pipelines.onboarding.parameter_changes import value_at

    own = {change.path for change in preset}
    kept = [change for change in changes if change.path not in own]
    return kept + [one for one in preset if value_at(present, one.path) != one.value]


def _check_options(answers: Mapping[str, Any], write: bool, output: Path | None) -> None:
    if answers["group_column"] and answers["no_groups"]:
        raise UserError(
            "--group-column and --no-groups exclude each other",
            code="option-conflict",
            hint="give one of them",
        )
    if write and output:
        raise UserError(
            f"--write changes params.yaml, and --output {output} is another file",
            code="option-conflict",
            hint="give one of them",
        )


def _stem(source: str) -> str:
    """reviews for data/reviews.csv.gz, sst2 for data/sst2/, and as well for URIs."""
    address = source.partition("#")[0].partition("?")[0] if "://" in source else source
    name = PurePosixPath(address.rstrip("/")).name or Path(source).resolve().name
    stem = re.sub(r"[^\w-]+", "-", name.partition(".")[0]).strip("-")
    return "my-params" if stem in ("", "params") else stem


def _require_free(target: Path, replace: bool, questions: "Questions") -> None:
    if replace or not target.exists():
        return
    taken = UserError(
        f"{target} exists already",
        code="output-taken",
        hint="give --force to replace it, or --output FILE",
    )
    questions.require_yes(taken, "Replace it?", proposal=False)


def _heading(source: str, rows: int, quick: bool) -> list[str]:
    quickly = " --quick" if quick else ""
    return [
        f"Made by `decant init{quickly}` from {without_secrets(source)}, {rows:,} rows.",
        "It is merged over params.yaml: only what differs is here.",
    ]


def _write(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        partial.write_text(text, "utf-8")
        publish(partial, target)
    except OSError as error:
        raise UserError(
            f"cannot write {target}: {error.strerror}", code="path-unwritable"
        ) from None
