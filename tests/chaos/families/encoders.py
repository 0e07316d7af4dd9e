"""Encoders from strangers into ingest, and on to the teacher: refused, or as if nothing had been.

What ingest takes must train the same teacher, or be refused by the next steps.
"""

import json
import os
import pickle
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from decant.runner.run_step import run_step
from decant.runtime.identity import file_digest
from decant.runtime.params_file import section_of
from decant.runtime.steps import load_step
from tests.chaos.attack import Attack, Attempt, Ended, attempt
from tests.chaos.command import LIMIT_SECONDS, environment, finished_here
from tests.chaos.harms import FILE_HARMS, JSON_HARMS, WEIGHT_HARMS, Harm
from tests.chaos.unharmed import small_parameters
from tests.encoder_folders import change_weights, set_config

COUNT = 60
SECONDS = 30.0
WORKERS = 1

_STEPS = ("ingest", "tokenize", "finetune")
_RESULTS = ("tokens/train.arrow", "tokens/test.arrow", "teacher/model.safetensors")
_NUMBERS = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "initializer_range",
)
_EXPLODED = "exploded"  # a folder that code from strangers makes
_HUGE = (2**31, 10**12, 10**18, 1e300)


@contextmanager
def arena(folder: Path) -> Iterator[Attack]:
    """One teacher of the sound encoder, to compare with."""
    params = small_parameters(folder / "data")
    encoder = folder / "data" / "encoder"
    with patch.dict(os.environ, environment(folder)):
        ended = taught(params, encoder, folder / "sound")
        if ended.code != 0:
            raise RuntimeError(f"the sound encoder failed:\n{ended.output}")

        def attack(rng: random.Random, own: Path) -> Attempt:
            hostile = own / "encoder"
            shutil.copytree(encoder, hostile)
            done = rng.choice(HARMS)(rng, hostile)
            ended = taught(params, hostile, own / "artifacts")
            wrong = _difference(folder / "sound", own / "artifacts") if ended.code == 0 else ""
            if (own / _EXPLODED).exists():
                wrong = "code of the folder ran"
            return attempt(f"encoder: {done}", ended, wrong)

        yield attack


def taught(params: dict[str, Any], encoder: Path, root: Path) -> Ended:
    """From the encoder to a teacher, in this process."""
    root.mkdir()
    content: dict[str, Any] = json.loads(json.dumps(params))
    content["ingest"] |= {"encoder": str(encoder), "local_encoder": str(encoder)}

    def run() -> None:
        for name in _STEPS:
            step = load_step(name)
            ports = {port: root / port for port in (*step.input_ports, *step.output_ports)}
            run_step(name, section_of(content, name, step.params), ports)

    return finished_here(run, limit_seconds=LIMIT_SECONDS)


def _difference(expected: Path, found: Path) -> str:
    differing = [
        name for name in _RESULTS if file_digest(expected / name) != file_digest(found / name)
    ]
    return f"not as with the sound encoder: {', '.join(differing)}" if differing else ""


def _any_file(rng: random.Random, folder: Path) -> str:
    file = rng.choice(sorted(folder.iterdir()))
    return rng.choice(FILE_HARMS)(rng, file)


def _any_json(rng: random.Random, folder: Path) -> str:
    return rng.choice(JSON_HARMS)(rng, rng.choice(sorted(folder.glob("*.json"))))


def _config(rng: random.Random, folder: Path) -> str:
    return rng.choice(JSON_HARMS)(rng, folder / "config.json")


def _weights(rng: random.Random, folder: Path) -> str:
    return rng.choice(WEIGHT_HARMS)(rng, folder / "model.safetensors")


def _number(rng: random.Random, folder: Path) -> str:
    """Huge, negative, or none at all."""
    name = rng.choice(_NUMBERS)
    value = rng.choice([*_HUGE, -1, -0.5, float("nan"), float("inf"), "12", [], {}, True])
    set_config(folder, **{name: value})
    return f"{name} in config.json is {value!r}"


def _more_layers(rng: random.Random, folder: Path) -> str:
    """Tensors that the model lacks are left out with a word; layers that it has must be there."""
    if rng.random() < 0.5:
        number = rng.choice([2, 7, 500])
        change_weights(
            folder,
            lambda tensors: (
                tensors
                | {
                    name.replace("layer.1.", f"layer.{number}."): tensor.clone()
                    for name, tensor in tensors.items()
                    if "layer.1." in name
                }
            ),
        )
        return f"tensors of a layer {number}, which the config does not count"
    number = rng.choice([3, 12, 1000])
    set_config(folder, num_hidden_layers=number)
    return f"the config counts {number} layers, the weights have 2"


class _Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.folder),)


def _pickle(rng: random.Random, folder: Path) -> str:
    content = pickle.dumps(_Bomb(folder.parent / _EXPLODED))
    name = rng.choice(["pytorch_model.bin", "model.safetensors", "training_args.bin", "model.pt"])
    if rng.random() < 0.5:
        (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    kept = "" if (folder / "model.safetensors").is_file() else ", without model.safetensors"
    return f"{name} is a pickle{kept}"


def _code(rng: random.Random, folder: Path) -> str:
    """Python files that a config asks to be run."""
    code = f"import os\nos.mkdir({str(folder.parent / _EXPLODED)!r})\n"
    (folder / "modeling.py").write_text(code, "utf-8")
    auto_map = {"AutoConfig": "modeling.Config", "AutoModel": "modeling.Model"}
    set_config(folder, auto_map=auto_map, **rng.choice([{}, {"model_type": "custom"}]))
    return "config.json asks for code of the folder"


def _link(rng: random.Random, folder: Path) -> str:
    file = rng.choice(sorted(folder.iterdir()))
    target = rng.choice(
        ["/etc/hostname", "/dev/zero", "missing", "..", file.name, "/proc/self/mem"]
    )
    file.unlink()
    file.symlink_to(target)
    return f"{file.name} is a link to {target}"


def _shards(rng: random.Random, folder: Path) -> str:
    """An index that names what is not there, or is elsewhere."""
    name = rng.choice(["../model.safetensors", "/etc/hostname", "missing.safetensors", "", "."])
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    index = {"weight_map": {"embeddings.word_embeddings.weight": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    return f"the index of the weights names '{name}'"


def _vocabulary(rng: random.Random, folder: Path) -> str:
    """tokenizer.json with pieces twice, with one id twice, with none, or with ids far away."""
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text("utf-8"))
    vocabulary: dict[str, int] = content["model"]["vocab"]
    piece, other = rng.sample(sorted(vocabulary), 2)
    how = rng.choice(
        ["nothing", "far", "negative", "same id", "no unknown", "one lost", "not text"]
    )
    match how:
        case "nothing":
            vocabulary.clear()
        case "far":
            vocabulary[piece] = rng.choice([10**6, 2**31, 2**32, 2**63])
        case "negative":
            vocabulary[piece] = -1
        case "same id":
            vocabulary[piece] = vocabulary[other]
        case "no unknown":
            del vocabulary["[UNK]"]
        case "one lost":
            del vocabulary[rng.choice(["[CLS]", "[SEP]", "[PAD]", "[MASK]"])]
        case _:
            content["model"]["vocab"] = [piece] * 3
    file.write_text(json.dumps(content), "utf-8")
    return f"the vocabulary of tokenizer.json: {how}"


def _vocabulary_file(rng: random.Random, folder: Path) -> str:
    """vocab.txt in place of tokenizer.json: odd, with doubles, or nothing."""
    (folder / "tokenizer.json").unlink()
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film"]
    how, content = rng.choice(
        [
            ("empty", ""),
            ("with doubles", "\n".join([*pieces, *pieces])),
            ("without the special tokens", "the\nfilm"),
            ("of noise", "\x00\ufffd\n" * 20),
            ("longer than the table", "\n".join([*pieces, *(f"w{n}" for n in range(5000))])),
            ("one endless line", "x" * 1_000_000),
        ]
    )
    (folder / "vocab.txt").write_text(content, "utf-8")
    return f"vocab.txt {how}, no tokenizer.json"


def _special_tokens(rng: random.Random, folder: Path) -> str:
    name = rng.choice(["cls_token", "sep_token", "pad_token", "unk_token", "mask_token"])
    value = rng.choice(
        ["[NONE]", "", 5, [], {"content": 5}, {"content": "[CLS]"}, "x" * 10**6, None]
    )
    for file in (folder / "special_tokens_map.json", folder / "tokenizer_config.json"):
        content = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        file.write_text(json.dumps(content | {name: value}), "utf-8")
    return f"{name} is {json.dumps(value)[:40]}"


HARMS: list[Harm] = [
    _any_file,
    _any_json,
    _config,
    _config,
    _weights,
    _weights,
    _number,
    _number,
    _more_layers,
    _pickle,
    _code,
    _link,
    _shards,
    _vocabulary,
    _vocabulary,
    _vocabulary_file,
    _special_tokens,
]
