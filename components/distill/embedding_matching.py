"""A loss that draws the student's embeddings to the teacher's, beside another loss."""

from collections.abc import Mapping
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from decant.models.teacher import load_teacher
from decant.students._student import Student
from decant.training.losses import Loss, Schedule, value_at


class EmbeddingMatching(nn.Module):
    """Adds `weight` times the matching of embeddings to a loss.

    The mean, over the tokens of the batch, of the mean squared difference between the row of the
    teacher's input table and a linear map of the student's row, learned with it and then discarded
    (TinyBERT, arXiv:1909.10351, equation 9). Padding is ignored. So training keeps what was
    transferred, also for words that the labels do not need.

    Args:
        table: (ids, H), the teacher's row of each of the student's ids, from `teacher_rows`.
    """

    table: Tensor

    def __init__(self, loss: Loss, student: Student, table: Tensor, weight: Schedule) -> None:
        super().__init__()
        self.loss = loss
        self.weight = weight
        # Not as a submodule: the student's parameters are the student's, not the loss's.
        self._embed = student.embed
        self._pad_id = student.config.pad_id
        self.map = nn.Linear(student.config.width, table.shape[1])
        self.register_buffer("table", table, persistent=False)

    def forward(
        self, logits: Tensor, features: Tensor, batch: Mapping[str, Tensor], progress: float
    ) -> Tensor:
        """The loss, plus the weighted squared distance of the batch's embeddings; a scalar."""
        loss = self.loss(logits, features, batch, progress)
        ids = batch["input_ids"]
        # each id once: the same mean, and much less to map
        found, counts = ids[ids != self._pad_id].unique(return_counts=True)
        difference = functional.mse_loss(
            self.map(self._embed(found).float()), self.table[found], reduction="none"
        ).mean(dim=1)
        matching: Tensor = (difference * counts).sum() / counts.sum()
        return loss + value_at(self.weight, progress) * matching


def teacher_rows(teacher: Path, student: Path) -> Tensor:
    """(ids, H): the main teacher's input embedding for each id of the student's tokenizer.

    A student's tokenizer has only pieces of the teacher's, under its own ids.

    Args:
        teacher, student: folders with a tokenizer.json.
    """
    source, own = (
        Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (teacher, student)
    )
    pieces = sorted((index, piece) for piece, index in own.get_vocab().items())
    weights = load_teacher(teacher).encoder.get_input_embeddings().weight.detach().float()  # type: ignore[operator]
    rows = torch.zeros(pieces[-1][0] + 1, weights.shape[1])
    for index, piece in pieces:
        known = source.token_to_id(piece)
        if known is not None:
            rows[index] = weights[known]
    return rows
