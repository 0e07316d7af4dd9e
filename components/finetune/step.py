"""Fine-tune the BERT encoder with a head on the labelled split."""

import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from components.finetune.contract import Inputs, Outputs, Params
from decant.data.corpus import read_schema
from decant.data.retokenize import Retokenizer
from decant.data.tokens import TokenRows, read_info
from decant.models.encoder import (
    load_encoder,
    load_tokenizer,
    more_encoders,
    position_limit,
    special_ids,
)
from decant.models.teacher import (
    MEMBERS,
    Teacher,
    TeacherConfig,
    describe_encoder,
    parameter_count,
    save_teacher,
)
from decant.runtime.reporter import Reporter
from decant.tasks.losses import balanced_weights
from decant.tasks.task import Task
from decant.training.curves import write_curves
from decant.training.examples import Examples
from decant.training.fit import fit
from decant.training.losses import Loss, label_loss


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """The main teacher, then the further members of the ensemble: per encoder one for each seed."""
    encoders = [inputs.encoder, *more_encoders(inputs.encoder)]
    members = [(encoder, params.seed + n) for encoder in encoders for n in range(params.members)]
    for number, (encoder, seed) in enumerate(members, start=1):
        folder = outputs.teacher if number == 1 else outputs.teacher / MEMBERS / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        _fine_tune(number, encoder, seed, params, inputs.tokens, folder, reporter)


def _fine_tune(
    number: int,
    encoder: Path,
    seed: int,
    params: Params,
    tokens: Path,
    folder: Path,
    reporter: Reporter,
) -> None:
    name, prefix = ("teacher", "") if number == 1 else (f"teacher_{number}", f"member_{number}_")
    seed %= 2**32
    torch.manual_seed(seed)  # a member does not depend on what was trained before it
    schema = read_schema(tokens)
    train, validation, pad_id = _rows(tokens, encoder, folder)
    teacher = Teacher(
        load_encoder(encoder),
        TeacherConfig(
            head=params.head,
            head_options=params.heads.get(params.head, {}),
            labels=schema.task.outputs,
            pad_id=pad_id,
            max_length_tokens=read_info(tokens).max_length_tokens,
        ),
    )
    for key, parameter in teacher.encoder.named_parameters():
        if params.frozen == "encoder" or (
            params.frozen == "embeddings" and key.startswith("embeddings.")
        ):
            parameter.requires_grad_(False)
    reporter.message(
        f"{name}: {describe_encoder(teacher.encoder)}, head '{params.head}', "
        f"{len(train)} labelled rows, {len(validation)} for validation"
    )
    started = time.perf_counter()
    result = fit(
        teacher,
        schema.task,
        Examples(train),
        Examples(validation),
        loss=_loss(params, schema.task, train),
        plan=params.training,
        device=params.device,
        pad_id=pad_id,
        seed=seed,
        name=name,
        reporter=reporter,
        consistency_weight=params.consistency_weight,
        parameter_groups=learning_rate_groups(
            teacher,
            learning_rate=params.training.learning_rate,
            layer_decay=params.layer_learning_rate_decay,
            weight_decay=params.training.weight_decay,
        ),
    )
    shutil.copyfile(encoder / "config.json", folder / "config.json")
    save_teacher(teacher, folder)
    write_curves(name, schema.task, result.curves, folder)
    for figure, value in result.validation.items():
        reporter.metric(prefix + figure, value)
    reporter.metric(f"{prefix}best_epoch", result.best_epoch)
    reporter.metric(f"{prefix}parameters", parameter_count(teacher))
    reporter.measure(f"{prefix}training_seconds", time.perf_counter() - started)


def _rows(tokens: Path, encoder: Path, folder: Path) -> tuple[TokenRows, TokenRows, int]:
    """Training and validation rows in the encoder's ids and its padding id.

    Also puts its tokenizer into the teacher's folder, cutting where the tokens artifact cuts, or
    where a further encoder's positions end.
    """
    info, target = read_info(tokens), folder / "tokenizer.json"
    tokenizer = load_tokenizer(encoder)
    tokenizer.enable_truncation(min(info.max_length_tokens, position_limit(encoder)))
    tokenizer.save(str(target))
    retokenizer = Retokenizer(tokens / "tokenizer.json", target)
    train, validation = (TokenRows.open(tokens, split) for split in ("train", "validation"))
    pad_id = info.pad_id if retokenizer.same else special_ids(encoder).pad_id
    return retokenizer.rows(train), retokenizer.rows(validation), pad_id


def _loss(params: Params, task: Task, train: TokenRows) -> Loss:
    weights = None
    if params.class_weights == "balanced":
        labels = torch.from_numpy(train.labels)
        weights = balanced_weights(task, labels.long() if labels.ndim == 1 else labels)
    return label_loss(task, weights=weights, label_smoothing=params.label_smoothing)


def learning_rate_groups(
    teacher: nn.Module, *, learning_rate: float, layer_decay: float, weight_decay: float
) -> list[Mapping[str, Any]]:
    """AdamW groups: a layer's rate is the layer above's times `layer_decay`.

    The head has the full rate. Biases and norms are not decayed. After Howard and Ruder 2018,
    arXiv:1801.06146, section 3.2.
    """
    depths = {name: _depth(name) for name, _ in teacher.named_parameters()}
    top = max(depths.values()) + 1
    # What is neither an embedding nor a numbered layer (a last norm, shared layers) learns
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
