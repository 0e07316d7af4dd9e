"""The folder of one exported model: graph, tokenizer, manifest."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from torch import nn

from components.export_onnx.parity import Parity
from decant.inference.classifier import GRAPH, MANIFEST, TOKENIZER
from decant.models.teacher import Teacher, parameter_count
from decant.runtime.artifacts import read_card, write_json
from decant.runtime.identity import file_digest
from decant.students._student import Student

FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The part of the manifest that is the same for all forms of a model.

    Attributes:
        vocabulary_size: rows of the embedding table.
        source_identity: of the step execution that trained the model.
        parity: of the float32 graph with PyTorch.
    """

    architecture: str
    encoder: str
    labels: tuple[str, ...]
    pad_id: int
    max_length_tokens: int
    vocabulary_size: int
    parameters: int
    source_identity: str
    opset: int
    parity: Parity


def facts_of(
    model: Teacher | Student, source: Path, *, encoder: str, opset: int, parity: Parity
) -> Facts:
    """Of a model and the artifact that it was loaded from."""
    config = model.config
    return Facts(
        architecture=_architecture(model, encoder),
        encoder=encoder,
        labels=config.labels,
        pad_id=config.pad_id,
        max_length_tokens=config.max_length_tokens,
        vocabulary_size=_embeddings(model),
        parameters=parameter_count(model),
        source_identity=read_card(source).identity,
        opset=opset,
        parity=parity,
    )


def write_tokenizer(source: Path, folder: Path, *, max_length_tokens: int) -> None:
    """The tokenizer of a model's artifact, truncating as the model was trained and not padding."""
    tokenizer = Tokenizer.from_file(str(source / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length_tokens)
    tokenizer.save(str(folder / TOKENIZER), pretty=False)


def write_manifest(folder: Path, facts: Facts, form: str, **more: object) -> int:
    """Describe the graph and the tokenizer that are in the folder; returns their size in bytes.

    Args:
        folder: named as the model's role.
        form: of the graph, such as float32.
        more: entries of this form alone.
    """
    size = sum((folder / name).stat().st_size for name in (GRAPH, TOKENIZER))
    manifest = {
        **dataclasses.asdict(facts),
        **more,
        "format": FORMAT_VERSION,
        "role": folder.name,
        "form": form,
        "size_bytes": size,
        "files": {name: file_digest(folder / name) for name in (GRAPH, TOKENIZER)},
    }
    write_json(folder / MANIFEST, manifest)
    return size


def _architecture(model: Teacher | Student, encoder: str) -> str:
    if isinstance(model, Student):
        return f"{model.config.architecture}, {model.config.width} wide"
    return f"{encoder}, {model.config.head} head"


def _embeddings(model: Teacher | Student) -> int:
    if isinstance(model, Student):
        return model.config.kept_ids
    table: nn.Embedding = model.encoder.get_input_embeddings()  # type: ignore[operator]
    return table.num_embeddings
