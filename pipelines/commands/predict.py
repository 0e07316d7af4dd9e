"""decant predict: answers to texts of an exported folder or a registered model.

A text gets the same answer here, in every batch, and from a server, to the last digit.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from decant.runtime.errors import UserError
from decant.tasks.answers import cells, columns, readable
from decant.text_classifier import DEFAULT_MODEL, TextClassifier

if TYPE_CHECKING:
    from decant.tables import Engine
    from decant.tasks.task import Task

COLUMN = "text"
BATCH_TEXTS = 256
_CHUNK_BYTES = 1 << 16


@click.command("predict")
@click.argument("texts", nargs=-1, metavar="[TEXT]...")
@click.option(
    "--file",
    type=click.Path(path_type=Path),
    help="A table or text file: .csv, .tsv, .tab, .jsonl, .json, .parquet, .txt; also packed.",
)
@click.option(
    "--column", default=COLUMN, show_default=True, help="The column of FILE with the texts."
)
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="An exported folder; or NAME/VERSION or NAME@ALIAS, also after `models:/`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def predict_command(
    texts: tuple[str, ...], file: Path | None, column: str, model: str, as_json: bool
) -> None:
    """Answer each TEXT, each row of a file, or each line of standard input.

    Prints the answer and the text: a table on a terminal, else separated by tabs. The answer is
    label and score; of a model for any number of labels these and the score of every label; of one
    for numbers the value; of several targets these columns of each, as TARGET_label.
    """
    if texts and file:
        raise UserError(
            f"both texts and the file {file} are given",
            code="option-conflict",
            hint="give one of them",
        )
    classifier = load_model(model)
    if file:
        batches: Iterable[Sequence[str]] = read_file(file, column)
    elif texts:
        batches = _checked(_slices(texts), "text {} of the input")
    else:
        batches = _checked(read_lines(sys.stdin.buffer), "line {} of the input")
    write = _json_lines if as_json else _table if sys.stdout.isatty() else _tab_separated
    for batch in batches:
        write(classifier.task, batch, classifier.predict(batch))
        sys.stdout.flush()


def load_model(model: str) -> TextClassifier:
    """Raises UserError when there is no such model or it cannot be read."""
    return TextClassifier.load(model)


def read_lines(stream: BinaryIO) -> Iterator[list[str]]:
    """Lines in batches, as they arrive: small ones from a keyboard, large ones from a file.

    Raises UserError naming the first line that is not UTF-8.
    """
    number, rest = 0, b""
    while chunk := stream.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]
        *lines, rest = (rest + chunk).split(b"\n")
        for start in range(0, len(lines), BATCH_TEXTS):
            batch = lines[start : start + BATCH_TEXTS]
            yield _decode(batch, number)
            number += len(batch)
    if rest:
        yield _decode([rest], number)


def read_file(file: Path, column: str = COLUMN) -> Iterator[list[str]]:
    """The texts of a table or text file in batches, in order; a missing one is the empty text.

    A table without rows has no texts, as for a server.

    Raises UserError, before the first batch, when the file cannot be read, has no such column, or a
    text is too long, with the row.
    """
    from decant.tables import known_format, open_table, reading, rows_of, table_engine

    _check_name(file, known_format(file))
    with table_engine() as engine:
        table = open_table(file, engine, wanted=[column], may_have_no_rows=True)
        cells = [table.column(column, "give --column NAME")]
        with reading(table):
            table.refuse_problems(engine, cells)
            texts = rows_of(table, cells)
            _refuse_long(file, engine, texts)
            missing = engine.all(f"SELECT count(*) FROM ({texts}) WHERE c0 IS NULL")[0][0]
            if missing:
                click.echo(f"{file}: {missing} rows without text, read as the empty text", err=True)
            ordered = f"SELECT coalesce(c0, '') FROM ({texts}) ORDER BY row"
            for batch in engine.batches(ordered, BATCH_TEXTS):
                yield batch.column(0).to_pylist()


def _check_name(file: Path, format_name: str | None) -> None:
    from decant.tables import formats

    if not file.is_file():
        raise UserError(
            f"there is no file {file}", code="file-missing", hint="give the path of a file"
        )
    if not format_name:
        raise UserError(
            f"the format of {file} cannot be inferred from its name",
            code="format-unknown",
            hint=f"known formats: {', '.join(formats())}",
        )


def _refuse_long(file: Path, engine: "Engine", texts: str) -> None:
    from decant.inference.classifier import MAX_CHARACTERS, problem_of

    too_long = f"SELECT row, c0 FROM ({texts}) WHERE length(c0) > {MAX_CHARACTERS} ORDER BY row"
    if first := engine.first(too_long):
        row, text = first
        raise _unusable(f"{file}, row {row} (the first is 1)", str(problem_of(text)))


def _checked(batches: Iterable[Sequence[str]], place: str) -> Iterator[Sequence[str]]:
    from decant.inference.classifier import problem_of

    number = 0
    for batch in batches:
        for number, text in enumerate(batch, start=number + 1):  # noqa: B020
            if problem := problem_of(text):
                raise _unusable(place.format(number), problem)
        yield batch


def _unusable(place: str, problem: str) -> UserError:
    return UserError(f"{place} is {problem}", code="text-invalid", hint="fix it or leave it out")


def _decode(lines: Sequence[bytes], number: int) -> list[str]:
    texts = []
    for offset, line in enumerate(lines, start=1):
        try:
            text = line.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"line {number + offset} of the input is not UTF-8: "
                f"byte 0x{line[error.start]:02x} at position {error.start}",
                code="encoding-not-utf8",
                hint="convert it first, such as with `iconv -f latin1 -t utf-8`",
            ) from None
        texts.append(text.removeprefix("\ufeff") if number + offset == 1 else text)
    return texts


def _slices(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(texts), BATCH_TEXTS):
        yield texts[start : start + BATCH_TEXTS]


def _json_lines(task: "Task", texts: Sequence[str], answers: Sequence[Any]) -> None:
    for text, answer in zip(texts, answers, strict=True):
        line = {**cells(task, answer), "text": text}
        click.echo(json.dumps(line, ensure_ascii=False))


def _tab_separated(task: "Task", texts: Sequence[str], answers: Sequence[Any]) -> None:
    for text, answer in zip(texts, answers, strict=True):
        fields = [_in_one_field(cell) for cell in cells(task, answer).values()]
        click.echo("\t".join([*fields, _in_one_line(text)]))


def _in_one_field(cell: object) -> str:
    """A list's parts separated by commas; a dict's as NAME=NUMBER, the highest first."""
    match cell:
        case float():
            return f"{cell:.6f}"
        case dict():
            highest_first = sorted(cell.items(), key=lambda one: -one[1])
            return ",".join(f"{_in_one_line(name)}={value:.6f}" for name, value in highest_first)
        case list():
            return ",".join(map(_in_one_line, cell))
    return str(cell)


def _in_one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")


def _table(task: "Task", texts: Sequence[str], answers: Sequence[Any]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    rows = [readable(task, answer) for answer in answers]
    types, names = columns(task), list(rows[0]) if rows else []
    table = Table(box=None)
    for column in (*names, "text"):
        table.add_column(column)
    for text, row in zip(texts, rows, strict=True):
        shown = [Text(row[name], style="" if types[name] is float else "bold") for name in names]
        table.add_row(*shown, Text(text))
    Console().print(table)
