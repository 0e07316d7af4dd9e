"""Changes to the folder of an encoder, and its copy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from decant.models.encoder import copy_encoder


def set_config(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def set_tokenizer_config(folder: Path, **values: object) -> None:
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def change_weights(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    file = folder / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def copied(encoder: Path) -> tuple[Path, list[str]]:
    """The copy, and what was decided."""
    target = encoder.parent / "copied"
    target.mkdir()
    return target, copy_encoder(encoder, target)


def with_vocabulary(encoder: Path, pieces: list[str], **files: object) -> Path:
    """A folder of an older form: vocab.txt, and JSON files of the names given."""
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (encoder / name).unlink(missing_ok=True)
    listed = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused1]", *pieces]
    listed += [f"[unused{number}]" for number in range(2, 101)]
    size = len(load_file(encoder / "model.safetensors")["embeddings.word_embeddings.weight"])
    (encoder / "vocab.txt").write_text("\n".join(listed[: size - 1]), "utf-8")
    for name, content in files.items():
        (encoder / f"{name}.json").write_text(json.dumps(content))
    return encoder
