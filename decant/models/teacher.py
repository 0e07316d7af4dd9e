"""The teacher: a BERT-family encoder with a head, and its artifact.

config.json, tokenizer.json ...   of the encoder
model.safetensors                 encoder.*, head.* and output.*
teacher.json                      head, its options, labels, pad_id, max_length_tokens
curves.csv                        epoch, and a column per learning curve
members/2/ ...                    further teachers of an ensemble, each with the same files
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from decant.models.encoder import build_encoder
from decant.models.heads import build_head
from decant.models.weights import fill
from decant.runtime.artifact_files import read_fields, reading
from decant.runtime.artifacts import write_json

WEIGHTS = "model.safetensors"
MEMBERS = "members"


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    """What is needed beside the encoder's config to build the teacher again."""

    head: str
    head_options: Mapping[str, Any]
    labels: tuple[str, ...]
    pad_id: int
    max_length_tokens: int


class Teacher(nn.Module):
    """forward: input_ids (B, L) padded with pad_id → logits (B, classes)."""

    def __init__(self, encoder: nn.Module, config: TeacherConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        self.head = build_head(
            config.head,
            config.head_options,
            hidden_size=int(encoder.config.hidden_size),  # type: ignore[union-attr,arg-type]
            where="finetune.heads",
        )
        self.output = nn.Linear(self.output_size, len(config.labels))
        nn.init.normal_(self.output.weight, std=0.02)
        nn.init.zeros_(self.output.bias)

    @property
    def output_size(self) -> int:
        """F, of the features."""
        return int(self.head.output_size)  # type: ignore[arg-type]

    def features(self, input_ids: Tensor) -> Tensor:
        """The input of the last layer, (B, F)."""
        mask = input_ids != self.config.pad_id
        states = self.encoder(input_ids=input_ids, attention_mask=mask.long()).last_hidden_state
        features: Tensor = self.head(states, mask)
        return features

    def forward(self, input_ids: Tensor) -> Tensor:
        """Logits (B, classes) of token ids (B, L)."""
        logits: Tensor = self.output(self.features(input_ids))
        return logits


def save_teacher(teacher: Teacher, folder: Path) -> None:
    """Write weights and config beside the encoder's files, which are already in the folder."""
    weights = {name: tensor.contiguous() for name, tensor in teacher.state_dict().items()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    write_json(folder / "teacher.json", dataclasses.asdict(teacher.config))


def load_teacher(folder: Path) -> Teacher:
    """The fine-tuned teacher in evaluation mode, float32, on the CPU.

    Raises UserError when a file is damaged.
    """
    file = folder / "teacher.json"
    config = read_fields(TeacherConfig, file)
    encoder = build_encoder(folder)
    with reading(file):
        teacher = Teacher(encoder, config)
    fill(teacher, folder / WEIGHTS)
    return teacher.eval()


def member_folders(folder: Path) -> list[Path]:
    """The teacher's own folder, then those of the further members of its ensemble."""
    further = (folder / MEMBERS).glob("*")
    return [folder, *sorted(further, key=lambda member: int(member.name))]


def describe_encoder(encoder: nn.Module) -> str:
    """The encoder in words, such as "bert, 6 layers, 384 wide"."""
    config = encoder.config
    layers = getattr(config, "num_hidden_layers", getattr(config, "n_layers", "?"))
    return f"{config.model_type}, {layers} layers, {config.hidden_size} wide"  # type: ignore[union-attr]


def parameter_count(module: nn.Module) -> int:
    """The number of all parameters, frozen ones too."""
    return sum(parameter.numel() for parameter in module.parameters())
