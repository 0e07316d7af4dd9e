"""Gated averages over token embeddings, from both ends of the text: order without a matrix product.

A recurrent layer whose gate and candidate do not read its state, as QRNN (Bradbury et al. 2016,
arXiv:1611.01576) and minLSTM (Feng et al. 2024, arXiv:2410.01201). So all tokens are computed at
once, and both are a convolution of the embeddings, which export can store as tables by token id:

    s_t = exp(-d g_t) s_(t-1) + g_t c_t        g = sigmoid(gate), c the candidate, s_0 = 0

A gate that is open takes the token in, and lets what was before fade; d is the strongest fading.
Written as sums over the tokens before, with G_t = g_1 + … + g_t,

    s_t = exp(-d G_t) (exp(d G_1) g_1 c_1 + … + exp(d G_t) g_t c_t)

Exponents are taken from the middle of their range, so that float32 holds them in a text of any
length: d is 2, and less for longer texts.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from decant.models.convolution import middle_tap
from decant.students._layers import layer_matrix
from decant.students._projected_bert import ProjectedBert
from decant.students.options.gated import Config

_STRONGEST_FADING = 2.0
_EXPONENTS = 140.0  # from -70 to 70: float32 ends at exp(88)


class GatedAverages(nn.Module):
    """states (B, L, W), mask (B, L) → (B, 4 units): the highest and the last of each unit's states.

    Of the units the first half reads forward, the other one backward, `units` each. The highest
    state is not below s_0, so that tokens of padding, which change no state, take no part.
    """

    def __init__(self, config: Config, width: int, max_length_tokens: int) -> None:
        super().__init__()
        self.units = config.units
        self.gates = nn.Conv1d(width, 2 * config.units, config.kernel_width)
        self.candidates = nn.Conv1d(width, 2 * config.units, config.kernel_width)
        self.dropout = nn.Dropout(config.dropout)
        self.fading = min(_STRONGEST_FADING, _EXPONENTS / max_length_tokens)
        self.output_size = 4 * config.units

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        keep = mask.unsqueeze(1).to(states.dtype)
        tokens = states.transpose(1, 2) * keep  # (B, W, L)
        span = self.gates.kernel_size[0]
        before = middle_tap(span)
        tokens = functional.pad(tokens, (before, span - 1 - before))
        # in float32, since exponents follow
        opened = torch.sigmoid(self.gates(tokens).transpose(1, 2).float()) * mask.unsqueeze(2)
        candidates = self.candidates(tokens).transpose(1, 2).float()
        averages = self._averages(self._in_order(opened), self._in_order(candidates))
        features = torch.cat([functional.relu(averages.amax(dim=1)), averages[:, -1]], dim=1)
        dropped: Tensor = self.dropout(features)
        return dropped

    def _in_order(self, values: Tensor) -> Tensor:
        """(B, L, 2 units), those of the backward units from the text's end on."""
        forward, backward = values.split(self.units, dim=2)
        return torch.cat([forward, backward.flip(1)], dim=2)

    def _averages(self, opened: Tensor, candidates: Tensor) -> Tensor:
        """s_t of every token, (B, L, 2 units)."""
        sums = opened.cumsum(dim=1)
        grown = torch.exp(self.fading * (sums - sums[:, -1:] / 2))
        return (grown * opened * candidates).cumsum(dim=1) / grown


def build(config: Config, *, width: int, max_length_tokens: int) -> GatedAverages:
    return GatedAverages(config, width, max_length_tokens)


def transfer(body: GatedAverages, bert: ProjectedBert) -> dict[str, bool]:
    """BERT's matrix, read from the student's space (see `reading`), into the candidates.

    The source article's W_l = Concat(W_BERT, 0), as for the CNN: the forward units take the first
    rows of the matrix, the backward ones the rows that follow, into the tap that meets the token
    itself; the other taps are 0. So at the start a state is a fading sum of M t + b, each as far as
    its gate is open. Units without a row keep their random weights, as the gates do.
    """
    filled = layer_matrix(bert)
    if filled is None:
        return {}
    weight, bias = filled
    kernel = body.candidates
    assert kernel.bias is not None
    units = min(2 * body.units, len(weight))
    kernel.weight[:units] = 0
    kernel.weight[:units, :, middle_tap(kernel.kernel_size[0])] = weight[:units]
    kernel.bias[:units] = bias[:units]
    whole = units == 2 * body.units
    return {"candidates.weight": whole, "candidates.bias": whole}
