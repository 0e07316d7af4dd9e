"""A student: what is needed to build it again, its network, and its folder.

A student folder loads with one call, `load_student(folder)`:
    model.safetensors, student.json, tokenizer.json (its own), curves.csv, curves.png
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from decant.models.weights import fill
from decant.runtime.artifact_files import read_fields, reading
from decant.runtime.artifacts import write_json
from decant.students import architecture, typed_options

WEIGHTS = "model.safetensors"
ALONE = "alone"  # below a student of several targets, a control for each


@dataclass(frozen=True, kw_only=True)
class StudentConfig:
    """What is needed to build a student again.

    Attributes:
        architecture, options: a file of this folder and its Config.
        width: of the embeddings.
        frozen: the parameters that training leaves as they are.
        vocabulary_size: ids of the student's tokenizer.
        kept_ids: how many of them have their own embedding; the rest share that of the unknown
            token. Fewer than the ids only where the tokenizer could not be pruned.
    """

    architecture: str
    options: Mapping[str, Any]
    width: int
    embedding_dropout: float
    frozen: tuple[str, ...]
    vocabulary_size: int
    kept_ids: int
    labels: tuple[str, ...]
    pad_id: int
    max_length_tokens: int


class Student(nn.Module):
    """forward: input_ids (B, L) of its own tokenizer, padded with pad_id → (B, classes)."""

    row_of_id: Tensor | None

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.config = config
        options = typed_options(config.architecture, config.options)
        self.embedding = nn.Embedding(config.kept_ids, config.width)
        self.dropout = nn.Dropout(config.embedding_dropout)
        self.body: nn.Module = architecture(config.architecture).build(
            options, width=config.width, max_length_tokens=config.max_length_tokens
        )
        self.output = nn.Linear(self.output_size, len(config.labels))
        # Which row of the table each id uses. Absent when nothing is pruned.
        rows = torch.zeros(config.vocabulary_size, dtype=torch.int64)
        self.register_buffer("row_of_id", rows if self.is_pruned else None)
        for name in config.frozen:
            self.get_parameter(name).requires_grad_(False)

    @property
    def is_pruned(self) -> bool:
        """Whether pieces of the teacher's vocabulary have no embedding here."""
        return self.config.kept_ids < self.config.vocabulary_size

    @property
    def output_size(self) -> int:
        """F, of the features."""
        return int(self.body.output_size)  # type: ignore[arg-type]

    def freeze(self, names: Iterable[str]) -> None:
        """Training leaves these parameters as they are, also when the student is loaded again."""
        for name in names:
            self.get_parameter(name).requires_grad_(False)
            self.config = dataclasses.replace(self.config, frozen=(*self.config.frozen, name))

    def features(self, input_ids: Tensor) -> Tensor:
        """The input of the last layer, (B, F)."""
        mask = input_ids != self.config.pad_id
        features: Tensor = self.body(self.dropout(self.embed(input_ids)), mask)
        return features

    def embed(self, input_ids: Tensor) -> Tensor:
        """Rows of the table, (..., width) of ids (...)."""
        rows = self.row_of_id[input_ids] if self.row_of_id is not None else input_ids
        embedded: Tensor = self.embedding(rows)
        return embedded

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits (B, classes) of token ids (B, L)."""
        logits: Tensor = self.output(self.features(input_ids))
        return logits


def save_student(student: Student, folder: Path, *, tokenizer: str) -> None:
    """Write the folder; `tokenizer` is the content of the student's own tokenizer.json."""
    weights = {name: tensor.contiguous() for name, tensor in student.state_dict().items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    write_json(folder / "student.json", dataclasses.asdict(student.config))
    (folder / "tokenizer.json").write_text(tokenizer, "utf-8")


def load_student(folder: Path) -> Student:
    """A student in evaluation mode, on the CPU. Raises UserError when a file is damaged."""
    file = folder / "student.json"
    config = read_fields(StudentConfig, file)
    with reading(file):
        student = Student(config)
    fill(student, folder / WEIGHTS)
    return student.eval()
