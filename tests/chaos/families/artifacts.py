"""Artifacts that a disk, a hand or another run changed, and the step that reads them.

In four of ten attacks the card is written again after the harm: as if a step had written the
artifact so, or a version that did not know digests. Then no digest tells, and the reading must.
"""

import os
import random
import shutil
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from tokenizers import Tokenizer

from decant.runner.run_step import run_step
from decant.runtime.artifacts import CARD, read_card, write_card
from decant.runtime.identity import SIDECAR, content_digest
from decant.runtime.params_file import read_params_file, section_of
from decant.runtime.steps import STEPS, load_step
from tests.changed_artifacts import seal
from tests.chaos.attack import Attack, Attempt, Ended, attempt
from tests.chaos.command import LIMIT_SECONDS, environment, finished_here
from tests.chaos.harms import FILE_HARMS, JSON_HARMS, WEIGHT_HARMS, Harm, cut, empty, remove
from tests.chaos.unharmed import Unharmed, tracking_of, unharmed
from tests.exported_graphs import ExportedGraphs

COUNT = 100
SECONDS = 90.0
WORKERS = 1

_READERS = [step for step in STEPS if load_step(step).input_ports]
_OTHER_SEED = 99
_TOKENIZER = "tokenizer.json"


@contextmanager
def arena(folder: Path) -> Iterator[Attack]:
    """Two runs of other seeds; each distinct graph is exported once."""
    one, graphs = unharmed(), ExportedGraphs()
    with (
        patch.dict(os.environ, environment(folder)),
        patch("components.export_onnx.step.export_graph", graphs.export_graph),
    ):
        other = _other_run(one, folder / "other")

        def attack(rng: random.Random, own: Path) -> Attempt:
            return attacked(rng, rng.choice(_READERS), one, other, own)

        yield attack


def attacked(rng: random.Random, step: str, one: Unharmed, other: Path, own: Path) -> Attempt:
    """A step reads what was harmed.

    Args:
        other: the artifacts of another run.
        own: an empty folder.
    """
    port = rng.choice(load_step(step).input_ports)
    inputs, outputs = one.copy_inputs(step, own / "inputs"), own / "outputs"
    outputs.mkdir()
    done = _harm(rng, inputs, port, other)
    ended = run_here(step, one, inputs, outputs)
    found = wrong(step, one, inputs, outputs, ended)
    if found and ended.code == 0 and done == _of_another_run(port):
        found = _not_named(step, port, inputs, outputs)  # it may be sound: of the same data
    return attempt(f"{done}, then {step}", ended, found)


def run_here(
    step: str, whole: Unharmed, inputs: Path, outputs: Path, seed: int | None = None
) -> Ended:
    """A step in this process, as its command ends."""
    content = read_params_file(whole.params)
    content |= {} if seed is None else {"seed": seed}
    declared = load_step(step)
    ports = {port: inputs / port for port in declared.input_ports}
    ports |= {port: outputs / port for port in declared.output_ports}
    with patch.dict(os.environ, tracking_of(step)):
        return finished_here(
            lambda: run_step(step, section_of(content, step, declared.params), ports),
            limit_seconds=LIMIT_SECONDS,
        )


def reseal(inputs: Path, port: str) -> None:
    """Let the card of a port name its files as they are, and all cards the new digests."""
    seal(inputs / port)
    while any(_relinked(file.parent, inputs) for file in inputs.glob(f"*/{CARD}")):
        pass  # a card is content of its artifact, which others may name


def _relinked(folder: Path, inputs: Path) -> bool:
    """Whether its card named other digests of what is in `inputs`, which it now does not."""
    card = read_card(folder)
    read = {*card.lineage, *load_step(card.step).input_ports}  # an input may be a source's pin too
    found = {port: content_digest(inputs / port) for port in read if (inputs / port).is_dir()}
    new = replace(
        card,
        lineage={port: found.get(port, digest) for port, digest in card.lineage.items()},
        inputs={port: found.get(port, digest) for port, digest in card.inputs.items()},
    )
    if new != card:
        write_card(folder, new)
    return new != card


def _other_run(one: Unharmed, folder: Path) -> Path:
    folder.mkdir()
    for step in STEPS[:-1]:
        ended = run_here(step, one, folder, folder, seed=_OTHER_SEED)
        if ended.code != 0:
            raise RuntimeError(f"{step} of the other seed failed:\n{ended.output}")
    return folder


def _harm(rng: random.Random, inputs: Path, port: str, other: Path) -> str:
    match rng.randrange(10):
        case 0:
            return _port_of_another_run(rng, inputs, port, other)
        case 1:
            return _file_of_another_run(rng, inputs, port, other)
        case 2 | 3 | 4 | 5:
            return f"{port}: {_one_file(rng, inputs / port, _all_files(inputs / port))}"
        case _:
            files = [file for file in _all_files(inputs / port) if file.name not in (CARD, SIDECAR)]
            done = _one_file(rng, inputs / port, files, is_sealed=True)
            reseal(inputs, port)
            return f"{port}: {done}, and its card written again"


def _one_file(
    rng: random.Random, folder: Path, files: list[Path], *, is_sealed: bool = False
) -> str:
    file = rng.choice(files)
    return f"{file.relative_to(folder).parent}/{rng.choice(_harms_of(file, is_sealed))(rng, file)}"


def _harms_of(file: Path, is_sealed: bool) -> list[Harm]:
    """Where the card is written again only such as make no other sound file."""
    of_kind = {".json": JSON_HARMS, ".safetensors": WEIGHT_HARMS}.get(file.suffix, [])
    if is_sealed:
        return list(of_kind) or [cut, empty, remove]
    return [*FILE_HARMS, *of_kind]


def _all_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _port_of_another_run(rng: random.Random, inputs: Path, port: str, other: Path) -> str:
    shutil.rmtree(inputs / port)
    shutil.copytree(other / port, inputs / port)
    return _of_another_run(port)


def _of_another_run(port: str) -> str:
    return f"{port} of another seed"


def _file_of_another_run(rng: random.Random, inputs: Path, port: str, other: Path) -> str:
    file = rng.choice(_all_files(inputs / port)).relative_to(inputs)
    shutil.copyfile(other / file, inputs / file)
    return f"{file} of another seed"


def wrong(step: str, one: Unharmed, inputs: Path, outputs: Path, ended: Ended) -> str:
    """After code 0 the outputs are the unharmed ones, but for what their cards say of the inputs.

    A file that was copied from an input as it is, is no result: the next step reads it.
    After another code nothing is there.
    """
    if ended.code != 0:
        left = [path.name for path in outputs.iterdir()]
        return f"it left {', '.join(left)}" if left else ""
    declared = load_step(step)
    read = {
        digest
        for port in declared.input_ports
        for digest in read_card(inputs / port).files.values()
    }
    return "; ".join(
        f"{port} is not as without harm: {difference}"
        for port in declared.output_ports
        if port not in declared.varying
        and (difference := _difference(one.root / port, outputs / port, read))
    )


def _not_named(step: str, port: str, inputs: Path, outputs: Path) -> str:
    """Outputs whose cards do not say that they are made of the input which was there."""
    read = content_digest(inputs / port)
    return "; ".join(
        f"the card of {output} does not name the {port} that was there"
        for output in load_step(step).output_ports
        if read_card(outputs / output).inputs.get(port) != read
    )


def _difference(expected: Path, found: Path, copied: Set[str]) -> str:
    """Files that differ, other than cards and copies."""
    wanted, made = read_card(expected).files, read_card(found).files
    names = sorted(
        name
        for name in {*wanted, *made}
        if wanted.get(name) != made.get(name)
        and made.get(name) not in copied
        and not (
            name.endswith(_TOKENIZER) and _encodings(expected / name) == _encodings(found / name)
        )
    )
    return ", ".join(names)


def _encodings(tokenizer: Path) -> list[list[int]]:
    """Of texts with known and unknown words: a tokenizer is written anew, and may carry a mark."""
    encoded = Tokenizer.from_file(str(tokenizer)).encode_batch(["a good film", "", "ꙮ unmovingly!"])
    return [one.ids for one in encoded]
