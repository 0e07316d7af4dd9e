"""Build the student and initialise it from BERT's weights."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from components.transfer_weights.contract import Inputs, Outputs, Params
from components.transfer_weights.embeddings import (
    Projection,
    contextual_embeddings,
    input_embeddings,
    no_projection,
    project,
    side_by_side,
    token_weights,
)
from components.transfer_weights.student_vocabulary import (
    Pruning,
    added_ids,
    kept_ids,
    occurrences,
    pruned_tokenizer,
)
from decant.data.corpus import read_schema
from decant.data.pieces import read_tokenizer
from decant.data.tokens import read_info
from decant.models.encoder import load_encoder
from decant.models.teacher import load_teacher, parameter_count
from decant.runtime.artifact_files import reading
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.students import architecture
from decant.students._projected_bert import ProjectedBert
from decant.students._student import Student, StudentConfig, save_student
from decant.training.device import pick_device, use_bfloat16

RANDOM_STD = 1.0  # of random embeddings where none is given


def run(params: Params, inputs: Inputs, outputs: Outputs, reporter: Reporter) -> None:
    """Build the student and fill its embeddings, and of its layers what the architecture can.

    Raises UserError where what should be copied does not fit the student.
    """
    schema, info = read_schema(inputs.tokens), read_info(inputs.tokens)
    file = inputs.tokens / "tokenizer.json"
    tokenizer = read_tokenizer(file)
    with reading(counted := inputs.tokens / "vocabulary.parquet"):
        vocabulary = pd.read_parquet(counted)
    pruning = Pruning(
        min_count=params.min_count,
        max_size=params.vocabulary_size,
        special_ids=(*info.special_ids, *added_ids(tokenizer)),
    )
    kept = kept_ids(vocabulary, pruning, tokenizer)
    own_tokenizer = pruned_tokenizer(tokenizer, kept)
    # With its own tokenizer the student's ids are the rows of its table. A tokenizer that cannot
    # lose pieces stays whole, and the student maps ids without a row to the unknown's.
    if own_tokenizer is None and len(kept) < info.vocabulary_size:
        reporter.warning(
            f"no piece can be dropped from a {tokenizer['model']['type']} tokenizer: the student "
            "has it whole, and its rarer pieces share the embedding of the unknown token"
        )
    student = Student(
        StudentConfig(
            architecture=params.architecture,
            options=params.students.get(params.architecture, {}),
            width=params.width,
            embedding_dropout=params.embedding_dropout,
            frozen=("embedding.weight",) if params.freeze_embeddings else (),
            vocabulary_size=len(kept) if own_tokenizer else info.vocabulary_size,
            kept_ids=len(kept),
            labels=schema.task.outputs,
            pad_id=int(np.searchsorted(kept, info.pad_id)) if own_tokenizer else info.pad_id,
            max_length_tokens=info.max_length_tokens,
        )
    )
    if student.row_of_id is not None:
        rows = np.full(info.vocabulary_size, np.searchsorted(kept, info.unk_id))
        rows[kept] = np.arange(len(kept))
        student.row_of_id = torch.from_numpy(rows)
    with torch.no_grad():
        bert = _fill_table(params, inputs, student, kept, occurrences(vocabulary, kept), reporter)
        filled = architecture(params.architecture).transfer(student.body, bert)
    reporter.message(f"layers filled: {', '.join(filled) or 'none'}")
    if params.freeze_layers:
        student.freeze(f"body.{name}" for name in _complete_tensors(filled))
    save_student(
        student, outputs.initial_student, tokenizer=own_tokenizer or file.read_text("utf-8")
    )
    reporter.metric("parameters", parameter_count(student))
    reporter.metric("vocabulary", len(kept))


def _fill_table(
    params: Params,
    inputs: Inputs,
    student: Student,
    kept: NDArray[np.int64],
    counts: NDArray[np.int64],
    reporter: Reporter,
) -> ProjectedBert:
    """Fill the embedding table; returns the encoder with its projection."""
    if params.embeddings == "random":
        std = RANDOM_STD if params.embedding_std is None else params.embedding_std
        torch.nn.init.normal_(student.embedding.weight, std=std)
        reporter.message(f"{len(kept)} embeddings at random (control)")
        return _projected_bert(params, _encoder(params, inputs), no_projection(params.width))
    encoder = _encoder(params, inputs)
    text_counts = counts * ~np.isin(kept, read_info(inputs.tokens).special_ids)
    table, own_columns, scale = _table(params, inputs, encoder, kept, text_counts, reporter)
    with reporter.activity(f"projecting the embeddings ({params.projection})"):
        projected, projection = project(
            table,
            params.width,
            method=params.projection,
            std=params.embedding_std,
            counts=text_counts,
            row_weights=token_weights(
                counts, params.token_weighting, sif_coefficient=params.sif_coefficient
            ),
            first_columns=own_columns,
        )
    student.embedding.weight.copy_(torch.from_numpy(projected))
    reporter.metric("explained_variance", projection.explained_variance)
    reporter.message(
        f"{len(kept)} {params.embeddings} embeddings of the {params.encoder} encoder, "
        f"{table.shape[1]} → {params.width} ({params.projection}, "
        f"{projection.explained_variance:.1%} of the variance)"
    )
    return _projected_bert(params, encoder, projection.of_block(own_columns, scale))


def _complete_tensors(filled: Mapping[str, bool]) -> list[str]:
    """The names. Raises UserError when there are none, or one is filled only in part."""
    if not filled:
        raise UserError(
            "transfer_weights.freeze_layers is true, but nothing was copied from BERT's layers",
            code="parameter-conflict",
            hint="set transfer_weights.layer_matrix or students.transformer.copied_layers, or "
            "freeze_layers to false",
        )
    if partial := [name for name, whole in filled.items() if not whole]:
        raise UserError(
            "transfer_weights.freeze_layers freezes whole tensors, but BERT fills only a part of "
            f"{', '.join(partial)}",
            code="parameter-conflict",
            hint="reduce filters, units or heads, or set freeze_layers to false",
        )
    return list(filled)


def _encoder(params: Params, inputs: Inputs) -> nn.Module:
    if params.encoder == "finetuned":
        return load_teacher(inputs.teacher).encoder
    return load_encoder(inputs.encoder)


def _projected_bert(params: Params, encoder: nn.Module, space: Projection) -> ProjectedBert:
    return ProjectedBert(
        encoder=encoder,
        into=torch.from_numpy(space.into),
        back=torch.from_numpy(space.back),
        offset=torch.from_numpy(space.offset),
        matrix=params.layer_matrix,
        layer=params.layer,
    )


def _table(
    params: Params,
    inputs: Inputs,
    encoder: nn.Module,
    kept: NDArray[np.int64],
    text_counts: NDArray[np.int64],
    reporter: Reporter,
) -> tuple[NDArray[np.float32], int, float]:
    """The rows to project, and two facts on the space that BERT's layers are taken over from.

    The facts: how many of the first columns it has, and by how much these are multiplied. It is
    the input table's where both tables are side by side.
    """
    if params.embeddings == "contextual":
        table = _contextual(params, inputs, encoder, kept, reporter)
        return table, table.shape[1], 1.0
    lookup = input_embeddings(encoder)[kept]
    if params.embeddings == "input":
        return lookup, lookup.shape[1], 1.0
    contextual = _contextual(params, inputs, encoder, kept, reporter)
    table, scale = side_by_side(lookup, contextual, text_counts)
    return table, lookup.shape[1], scale


def _contextual(
    params: Params,
    inputs: Inputs,
    encoder: nn.Module,
    kept: NDArray[np.int64],
    reporter: Reporter,
) -> NDArray[np.float32]:
    where = pick_device(params.device)
    info = read_info(inputs.tokens)
    with reporter.progress("contextual embeddings", len(kept), unit="tokens") as advance:
        return contextual_embeddings(
            encoder,
            kept,
            cls_id=info.cls_id,
            sep_id=info.sep_id,
            device=where,
            bfloat16=use_bfloat16(params.precision, where),
            advance=advance,
        )
