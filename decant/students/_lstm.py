"""A bidirectional LSTM whose states do not depend on padding, exported as ONNX's own LSTM.

Shapes: B batch, L tokens, I features that go in, U units per direction.
"""

import math

import torch
from torch import Tensor, nn

GATES = 4
INPUT, OUTPUT, FORGET, CANDIDATE = range(GATES)  # ONNX's order
_TORCH_ORDER = (INPUT, FORGET, CANDIDATE, OUTPUT)


class BidirectionalLSTM(nn.Module):
    """One layer: states (B, L, I), mask (B, L) → (B, L, 2U), forward states before backward ones.

    The backward direction starts at each text's own last token. The states at padded positions are
    undefined.

    The weights have the layout of ONNX's LSTM operator, so the graph stores them unchanged: one
    operator, which takes each text's length and whose weights can be quantised. They start like
    those of torch.nn.LSTM, uniform within 1 / sqrt(U).

    Attributes:
        input_weights: (2, 4U, I): directions forward and backward, blocks of U rows per gate.
        recurrent_weights: (2, 4U, U).
        biases: (2, 8U): of the input's gates, then of the recurrent ones.
    """

    def __init__(self, features: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.input_weights = nn.Parameter(torch.empty(2, GATES * units, features))
        self.recurrent_weights = nn.Parameter(torch.empty(2, GATES * units, units))
        self.biases = nn.Parameter(torch.empty(2, 2 * GATES * units))
        bound = 1 / math.sqrt(units)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        lengths = mask.sum(dim=1)
        if torch.onnx.is_in_onnx_export():
            return self._operator(states, lengths)
        # The backward direction reads the reversed text; the padding stays behind it.
        positions = torch.arange(states.shape[1], device=states.device)
        turned = lengths.unsqueeze(1) - 1 - positions
        turned = torch.where(turned < 0, positions, turned).unsqueeze(2)  # (B, L, 1)
        forward = self._read(states, 0)
        backward = self._read(states.gather(1, turned.expand_as(states)), 1)
        return torch.cat([forward, backward.gather(1, turned.expand_as(backward))], dim=2)

    def _read(self, states: Tensor, direction: int) -> Tensor:
        """(B, L, U) of one direction. Two of these train twice as fast as packed sequences do."""
        start = states.new_zeros(1, len(states), self.units)
        of_input, of_state = self.biases[direction].chunk(2)
        weights = [
            _in_torch_order(self.input_weights[direction]),
            _in_torch_order(self.recurrent_weights[direction]),
            _in_torch_order(of_input),
            _in_torch_order(of_state),
        ]
        read, _, _ = torch.lstm(
            states,
            (start, start),
            weights,
            has_biases=True,
            num_layers=1,
            dropout=0.0,
            train=self.training,
            bidirectional=False,
            batch_first=True,
        )
        return read

    def _operator(self, states: Tensor, lengths: Tensor) -> Tensor:
        """The same as one ONNX operator, whose answer is (L, 2, B, U)."""
        batch, length, _ = states.shape
        read = torch.onnx.ops.symbolic(
            "LSTM",
            [
                states.transpose(0, 1),
                self.input_weights,
                self.recurrent_weights,
                self.biases,
                lengths.to(torch.int32),
            ],
            {"direction": "bidirectional", "hidden_size": self.units},
            dtype=states.dtype,
            shape=(length, 2, batch, self.units),
        )
        return read.permute(2, 0, 1, 3).reshape(batch, length, 2 * self.units)


def _in_torch_order(weights: Tensor) -> Tensor:
    """The gates' blocks (4U, ...) as torch has them: input, forget, candidate, output."""
    gates = weights.chunk(GATES)
    return torch.cat([gates[gate] for gate in _TORCH_ORDER])
