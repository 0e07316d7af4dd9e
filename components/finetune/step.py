"""Fine-tune the BERT encoder with a head on the labelled split."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from components.shared.corpus import read_schema
from components.shared.encoders import load_encoder
from components.shared.heads import check_heads
from components.shared.reporter import Reporter
from components.shared.settings import Seed, settings
from components.shared.teacher import (
    Teacher,
    TeacherConfig,
    describe_encoder,
    parameter_count,
    save_teacher,
)
from components.shared.tokens import TokenRows, read_info
from components.shared.training.curves import write_curves
from components.shared.training.device import Device
from components.shared.training.examples import Examples
from components.shared.training.fit import TrainingPlan, fit
from components.shared.training.losses import balanced_class_weights, label_loss


@settings
class Params:
    seed: Seed
    device: Device
    head: str
    heads: dict[str, dict[str, Any]]
    freeze_embeddings: bool
    layer_learning_rate_decay: Annotated[float, Field(gt=0, le=1)]
    class_weights: Literal["none", "balanced"]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    consistency_weight: Annotated[float, Field(ge=0, le=100)]
    training: TrainingPlan

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        check_heads(self.head, self.heads, where="finetune.heads")
        return self


@dataclass(frozen=True, kw_only=True)
class Inputs:
    tokens: Path
    encoder: Path


@dataclass(frozen=True, kw_only=True)
class Outputs:
    teacher: Path


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    schema, info = read_schema(inputs.tokens), read_info(inputs.tokens)
    train = TokenRows.open(inputs.tokens, "train")
    validation = TokenRows.open(inputs.tokens, "validation")
    teacher = Teacher(
        load_encoder(inputs.encoder),
        TeacherConfig(
            head=params.head,
            head_options=params.heads.get(params.head, {}),
            labels=schema.labels,
            pad_id=info.pad_id,
            max_length_tokens=info.max_length_tokens,
        ),
    )
    if params.freeze_embeddings:
        for name, parameter in teacher.encoder.named_parameters():
            if name.startswith("embeddings."):
                parameter.requires_grad_(False)
    reporter.message(
        f"{describe_encoder(teacher.encoder)}, head '{params.head}', "
        f"{len(train)} labelled rows, {len(validation)} for validation"
    )
    weights = None
    if params.class_weights == "balanced":
        labels = torch.from_numpy(train.labels).long()
        weights = balanced_class_weights(labels, len(schema.labels))
    result = fit(
        teacher,
        Examples(train),
        Examples(validation),
        loss=label_loss(class_weights=weights, label_smoothing=params.label_smoothing),
        plan=params.training,
        device=params.device,
        pad_id=info.pad_id,
        seed=params.seed,
        name="teacher",
        reporter=reporter,
        consistency_weight=params.consistency_weight,
        parameter_groups=learning_rate_groups(
            teacher,
            learning_rate=params.training.learning_rate,
            layer_decay=params.layer_learning_rate_decay,
            weight_decay=params.training.weight_decay,
        ),
    )
    for file in ("config.json", "tokenizer.json"):
        shutil.copyfile(inputs.encoder / file, outputs.teacher / file)
    save_teacher(teacher, outputs.teacher)
    write_curves("teacher", result.curves, outputs.teacher)
    reporter.metric("validation_accuracy", result.validation_accuracy)
    reporter.metric("best_epoch", result.best_epoch)
    reporter.metric("parameters", parameter_count(teacher))


def learning_rate_groups(
    teacher: nn.Module, *, learning_rate: float, layer_decay: float, weight_decay: float
) -> list[Mapping[str, Any]]:
    """AdamW groups: a layer's rate is the layer above's times `layer_decay`; the head has the full.

    Biases and norms are not decayed. After Howard and Ruder 2018, arXiv:1801.06146, section 3.2.
    """
    depths = {name: _depth(name) for name, _ in teacher.named_parameters()}
    top = max(depths.values()) + 1
    # What is neither embedding nor numbered layer (a last norm, layers that share weights) learns
    # as the highest layer does.
    depths = {
        name: depth or (0 if "embeddings" in name else top - 1) for name, depth in depths.items()
    }
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in teacher.named_parameters():
        if parameter.requires_grad:
            depth = depths[name] if name.startswith("encoder.") else top
            groups.setdefault((depth, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": learning_rate * layer_decay ** (top - depth),
            "weight_decay": weight_decay if decayed else 0.0,
        }
        for (depth, decayed), parameters in groups.items()
    ]


def _depth(name: str) -> int:
    """0 for embeddings, 1 for the first layer, and so on."""
    found = re.search(r"\.layers?\.(\d+)\.", name)
    return int(found[1]) + 1 if found else 0
