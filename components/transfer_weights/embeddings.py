"""The student's embedding table from BERT's weights.

Shapes: V kept token ids, H the encoder's width, W the student's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

Matrix = NDArray[np.float32]


def input_embeddings(encoder: nn.Module) -> Matrix:
    """BERT's own lookup table (vocabulary, H): row i is the embedding of token id i."""
    table: nn.Embedding = encoder.get_input_embeddings()  # type: ignore[operator]
    return table.weight.detach().float().numpy().copy()


@torch.inference_mode()
def contextual_embeddings(
    encoder: nn.Module,
    ids: NDArray[np.int64],
    *,
    cls_id: int,
    sep_id: int,
    device: torch.device,
    bfloat16: bool,
    batch_size: int = 256,
    advance: Callable[[int], None] = lambda rows: None,
) -> Matrix:
    """(V, H): each token alone through the encoder, as [CLS] token [SEP]; the token's last state.

    So a row is the output of all of BERT's layers for the word, not only of its lookup table. After
    Model2Vec (Tulkens and van Dongen 2024), which takes the mean of the three states instead; the
    middle state alone gave the better students here. The encoder is on the CPU afterwards.
    """
    encoder = encoder.to(device).eval()
    parts = []
    for start in range(0, len(ids), batch_size):
        chosen = torch.from_numpy(ids[start : start + batch_size])
        batch = torch.stack(
            [torch.full_like(chosen, cls_id), chosen, torch.full_like(chosen, sep_id)], dim=1
        ).to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            states = encoder(input_ids=batch, attention_mask=torch.ones_like(batch))
        parts.append(states.last_hidden_state[:, 1].float().cpu().numpy())
        advance(len(chosen))
    encoder.to("cpu")  # where its layers are read next
    return np.concatenate(parts)


@dataclass(frozen=True, kw_only=True)
class Projection:
    """A linear map of BERT's space (H) to the student's (W): e = (t - offset) @ into.

    Attributes:
        into: (H, W), scale included.
        back: (W, H), its pseudo-inverse: t ≈ e @ back + offset, exact for W >= H.
        offset: (H,), the mean that is subtracted; zeros where none is.
        explained_variance: the share of the variance that is kept.
    """

    into: Matrix
    back: Matrix
    offset: NDArray[np.float32]
    explained_variance: float

    def of_block(self, hidden: int, scale: float) -> "Projection":
        """The part of the table's first columns, `hidden` of them, before their factor `scale`.

        With t these columns alone, t ≈ e @ back + offset as for the whole map, exact for W >=
        the whole table's H. But `into` gives only the share of t in e: the other columns add
        theirs.
        """
        return Projection(
            into=self.into[:hidden] * np.float32(scale),
            back=self.back[:, :hidden] / np.float32(scale),
            offset=self.offset[:hidden] / np.float32(scale),
            explained_variance=self.explained_variance,
        )


def no_projection(width: int) -> Projection:
    """For random embeddings: they share no space with BERT, so H is 0."""
    return Projection(
        into=np.zeros((0, width), dtype=np.float32),
        back=np.zeros((width, 0), dtype=np.float32),
        offset=np.zeros(0, dtype=np.float32),
        explained_variance=0.0,
    )


def side_by_side(one: Matrix, other: Matrix, counts: NDArray[np.int64]) -> tuple[Matrix, float]:
    """Both tables side by side (V, H1 + H2), and the factor of the first.

    Each is brought to a total variance of 1, so that neither outweighs the other in what follows.
    Variances as in `project`.
    """
    factors = [1 / np.sqrt(np.trace(_moments(table, counts)[1])) for table in (one, other)]
    joined = np.concatenate([one * factors[0], other * factors[1]], axis=1)
    return joined.astype(np.float32), float(factors[0])


def token_weights(
    counts: NDArray[np.int64],
    method: Literal["none", "sif", "zipf"],
    *,
    sif_coefficient: float,
) -> NDArray[np.float32]:
    """(V,): factors of the tokens' rows, so that frequent words weigh less in a mean.

    sif: a / (a + p) with p the token's share of the running text (Arora et al. 2017, "A simple but
    tough-to-beat baseline for sentence embeddings", section 3). zipf: log(1 + rank) with rank 1 the
    most frequent token, of equals the smaller id (Model2Vec, which has no counts, uses the
    order of the vocabulary).
    """
    if method == "sif":
        share: NDArray[np.float64] = counts / max(counts.sum(), 1)
        return (sif_coefficient / (sif_coefficient + share)).astype(np.float32)
    if method == "zipf":
        rank = np.empty(len(counts))
        rank[np.argsort(-counts, kind="stable")] = np.arange(1, len(counts) + 1)
        return np.log1p(rank).astype(np.float32)
    return np.ones(len(counts), dtype=np.float32)


def project(
    table: Matrix,
    width: int,
    *,
    method: Literal["pca", "truncate"],
    std: float | None,
    counts: NDArray[np.int64],
    row_weights: NDArray[np.float32] | None = None,
    first_columns: int | None = None,
) -> tuple[Matrix, Projection]:
    """Bring (V, H) to (V, W), and the whole to a standard deviation (None: unchanged).

    W < H: `pca` keeps the W directions of largest variance of the centred rows; `truncate` keeps
    the first W columns. W >= H: the rows as they are, with W - H columns of zeros behind them, the
    source article's Concat(W_BERT, 0).

    Where two tables are side by side, the first with `first_columns`, `truncate` keeps half of
    the W columns for each: the first ceil(W / 2) of the one, then the first floor(W / 2) of the
    other. Columns that one table lacks go to the other.

    Means and variances are those of running text: each row counts as often as its token occurs
    (`counts` (V,)), so that the directions fit the words that are read. With counts of 0
    throughout, every row counts the same.

    `row_weights` (V,) multiply the projected rows; the returned map does not include them.
    """
    hidden = table.shape[1]
    mean, covariance = _moments(table, counts)
    if width >= hidden or method == "truncate":
        directions = np.zeros((hidden, width))
        kept_columns = _leading(hidden, width, first_columns or hidden)
        directions[kept_columns, range(len(kept_columns))] = 1
        offset = np.zeros(hidden)
    else:
        _, ascending = np.linalg.eigh(covariance)
        directions = ascending[:, ::-1][:, :width]
        # An eigenvector's sign is arbitrary: make its largest entry positive, on every machine.
        largest = np.abs(directions).argmax(axis=0)
        directions = directions * np.sign(directions[largest, np.arange(width)])
        offset = mean
    projected = (table - offset) @ directions
    if row_weights is not None:
        projected = projected * row_weights[:, None]
    kept = np.trace(directions.T @ covariance @ directions) / np.trace(covariance)
    spread = np.trace(_moments(projected, counts)[1]) / width
    scale = 1.0 if std is None else std / np.sqrt(spread)
    projection = Projection(
        into=(directions * scale).astype(np.float32),
        back=(directions.T / scale).astype(np.float32),
        offset=offset.astype(np.float32),
        explained_variance=float(min(kept, 1.0)),
    )
    return (projected * scale).astype(np.float32), projection


def _leading(hidden: int, width: int, first: int) -> list[int]:
    """The columns that truncation keeps of one table, or of two whose border is at `first`."""
    of_other = min(width // 2, hidden - first)
    of_one = min(width - of_other, first)
    of_other = min(width - of_one, hidden - first)
    return [*range(of_one), *range(first, first + of_other)]


def _moments(table: NDArray[Any], counts: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean (H,) and covariance (H, H) of the rows, each as often as its token occurs."""
    weights = counts.astype(np.float64)
    weights = weights / weights.sum() if weights.any() else np.full(len(table), 1 / len(table))
    mean = weights @ table
    return mean, (table - mean).T @ ((table - mean) * weights[:, None])
