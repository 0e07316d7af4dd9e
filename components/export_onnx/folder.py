"""The folder of one exported model: graph, tokenizer, manifest."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from torch import nn

from components.export_onnx.parity import Parity
from decant.inference.model_files import (
    DIGEST,
    FILES,
    GRAPH,
    MANIFEST,
    TOKENIZER,
    manifest_digest,
)
from decant.models.teacher import Teacher, parameter_count
from decant.runtime.artifacts import Card, read_card, write_json
from decant.runtime.identity import file_digest
from decant.students._student import ALONE, Student
from decant.tasks.task import Task

FORMAT_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The part of the manifest that is the same for all forms of a model.

    Attributes:
        task: the targets, with what was decided for this model.
        vocabulary_size: rows of the embedding table.
        source_identity: of the step execution that trained the model.
        parity: of the float32 graph with PyTorch.
        wordpiece_texts: on how many texts a dictionary of words gave the tokenizer's ids; None
            where it may not be used.
    """

    architecture: str
    encoder: str
    task: Task
    pad_id: int
    max_length_tokens: int
    vocabulary_size: int
    parameters: int
    source_identity: str
    opset: int
    parity: Parity
    wordpiece_texts: int | None


def facts_of(
    model: Teacher | Student,
    task: Task,
    source: Path,
    *,
    encoder: str,
    opset: int,
    parity: Parity,
    wordpiece_texts: int | None,
) -> Facts:
    """Of a model and the artifact that it was loaded from."""
    config = model.config
    return Facts(
        architecture=_architecture(model, encoder),
        encoder=encoder,
        task=task,
        pad_id=config.pad_id,
        max_length_tokens=config.max_length_tokens,
        vocabulary_size=_embeddings(model),
        parameters=parameter_count(model),
        source_identity=_artifact_card(source).identity,
        opset=opset,
        parity=parity,
        wordpiece_texts=wordpiece_texts,
    )


def write_tokenizer(source: Path, folder: Path, *, max_length_tokens: int) -> None:
    """The tokenizer of a model's artifact, truncating as the model was trained and not padding."""
    tokenizer = Tokenizer.from_file(str(source / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length_tokens)
    tokenizer.save(str(folder / TOKENIZER), pretty=False)


def role_of(folder: Path) -> str:
    """Of a model, by its folder: `alone_TARGET` of alone/TARGET, else the folder's name."""
    return f"{ALONE}_{folder.name}" if folder.parent.name == ALONE else folder.name


def write_manifest(folder: Path, facts: Facts, form: str, **more: object) -> int:
    """Describe the graph and the tokenizer that are in the folder; returns their size in bytes.

    Args:
        folder: named as the model's role.
        form: of the graph, such as float32.
        more: entries of this form alone.
    """
    size = sum((folder / name).stat().st_size for name in (GRAPH, TOKENIZER))
    described = dataclasses.asdict(facts)
    del described["task"]
    manifest: dict[str, object] = {
        **described,
        **more,
        "labels": facts.task.outputs,
        "targets": facts.task.as_json(),
        "format": FORMAT_VERSION,
        "role": role_of(folder),
        "form": form,
        "size_bytes": size,
        FILES: {name: file_digest(folder / name) for name in (GRAPH, TOKENIZER)},
    }
    manifest[DIGEST] = manifest_digest(manifest)
    write_json(folder / MANIFEST, manifest)
    return size


def _artifact_card(folder: Path) -> Card:
    """The card of the artifact that the model is, or in which it lies."""
    return read_card(folder.parents[1] if folder.parent.name == ALONE else folder)


def _architecture(model: Teacher | Student, encoder: str) -> str:
    if isinstance(model, Student):
        return f"{model.config.architecture}, {model.config.width} wide"
    return f"{encoder}, {model.config.head} head"


def _embeddings(model: Teacher | Student) -> int:
    if isinstance(model, Student):
        return model.config.kept_ids
    table: nn.Embedding = model.encoder.get_input_embeddings()  # type: ignore[operator]
    return table.num_embeddings
