"""BiLSTM over token embeddings, its states pooled over the text.

After Tang et al. 2019, arXiv:1903.12136, where the last states are taken instead.
"""

from torch import Tensor, nn

from decant.models.part_options import Pooling
from decant.models.pooling import pool, pooled_size
from decant.students._layers import layer_matrix
from decant.students._lstm import CANDIDATE, FORGET, GATES, BidirectionalLSTM
from decant.students._projected_bert import ProjectedBert
from decant.students.options.bilstm import Config


class BiLSTM(nn.Module):
    """states (B, L, W), mask (B, L) → (B, 2 units), or (B, 4 units) where two poolings are."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        inputs = [width] + [2 * config.units] * (config.layers - 1)
        self.layers = nn.ModuleList(BidirectionalLSTM(size, config.units) for size in inputs)
        self.dropout = nn.Dropout(config.dropout)
        self.pooling: Pooling = config.pooling
        self.output_size = pooled_size(2 * config.units, config.pooling)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        for index, layer in enumerate(self.layers):
            states = layer(self.dropout(states) if index else states, mask)
        features: Tensor = self.dropout(pool(states, mask, self.pooling))
        return features


def build(config: Config, *, width: int, max_length_tokens: int) -> BiLSTM:
    return BiLSTM(config, width)


def transfer(body: BiLSTM, bert: ProjectedBert) -> dict[str, bool]:
    """BERT's matrix, read from the student's space (see `reading`), into the first layer.

    The source article's W_l = Concat(W_BERT, 0). The forward direction's units take the first rows
    of the matrix, the backward direction's the rows that follow. A unit's row goes into the input
    weights of its cell candidate, the bias into that bias; its other input weights, its recurrent
    weights and its other biases become 0, except for the forget gate's, 1. So at the start the
    gates are constants, the candidate is tanh of BERT's own M t + b of the token, and the cell sums
    these up: c ← σ(1) c + ½ tanh(M t + b), state ½ tanh(c). Units without a row keep their random
    weights.
    """
    filled = layer_matrix(bert)
    if filled is None:
        return {}
    weight, bias = filled
    first = body.layers[0]
    assert isinstance(first, BidirectionalLSTM)
    for direction in range(2):
        rows = slice(direction * first.units, (direction + 1) * first.units)
        count = len(weight[rows])
        by_gate = (GATES, first.units)
        of_input = first.input_weights[direction].unflatten(0, by_gate)
        of_state = first.recurrent_weights[direction].unflatten(0, by_gate)
        biases = first.biases[direction].unflatten(0, (2, *by_gate))
        of_input[:, :count] = 0
        of_state[:, :count] = 0
        biases[:, :, :count] = 0
        of_input[CANDIDATE, :count] = weight[rows]
        biases[0, CANDIDATE, :count] = bias[rows]
        biases[0, FORGET, :count] = 1
    whole = len(weight) >= 2 * first.units
    return {f"layers.0.{name}": whole for name, _ in first.named_parameters()}
