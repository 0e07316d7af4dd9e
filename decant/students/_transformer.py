"""A Transformer encoder of BERT's form (Devlin et al. 2019, arXiv:1810.04805) at any size.

Shapes: B batch, L tokens, W width.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

EPSILON = 1e-12  # of every LayerNorm, as in BERT
UNSEEN = -1e9  # added to the scores of padded positions


class Encoder(nn.Module):
    """Embedded tokens (B, L, W), mask (B, L) → states (B, L, W), undefined where padded.

    Learned positions are added, then LayerNorm, then the layers.
    """

    def __init__(
        self,
        width: int,
        *,
        layers: int,
        heads: int,
        head_size: int,
        intermediate: int,
        positions: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.positions = nn.Embedding(positions, width)
        self.norm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            Layer(width, heads, head_size, intermediate, dropout) for _ in range(layers)
        )
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)  # as BERT starts
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        bias = torch.where(mask[:, None, None, :], 0.0, UNSEEN)  # (B, 1, 1, L)
        states = self.dropout(self.norm(states + self.positions.weight[: states.shape[1]]))
        for layer in self.layers:
            states = layer(states, bias)
        return states


class Layer(nn.Module):
    """Attention and two dense layers, each followed by the LayerNorm of its sum with its input.

    Attributes:
        attention_in: W → 3 heads * head_size: all queries, all keys, all values, each by head.
        attention_out: heads * head_size → W.
    """

    def __init__(
        self, width: int, heads: int, head_size: int, intermediate: int, dropout: float
    ) -> None:
        super().__init__()
        self.heads, self.head_size = heads, head_size
        self.attention_in = nn.Linear(width, 3 * heads * head_size)
        self.attention_out = nn.Linear(heads * head_size, width)
        self.attention_norm = nn.LayerNorm(width, eps=EPSILON)
        self.intermediate = nn.Linear(width, intermediate)
        self.output = nn.Linear(intermediate, width)
        self.output_norm = nn.LayerNorm(width, eps=EPSILON)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, bias: Tensor) -> Tensor:
        states = self.attention_norm(states + self.dropout(self._attend(states, bias)))
        inner = gelu(self.intermediate(states))
        normed: Tensor = self.output_norm(states + self.dropout(self.output(inner)))
        return normed

    def _attend(self, states: Tensor, bias: Tensor) -> Tensor:
        by_head = self.attention_in(states).unflatten(2, (3, self.heads, self.head_size))
        query, key, value = by_head.permute(2, 0, 3, 1, 4)  # (B, heads, L, head_size) each
        # Written out, since torch's own operator takes a tenth longer as an ONNX graph.
        scores = (query * self.head_size**-0.5) @ key.transpose(2, 3)
        weights = self.dropout((scores + bias).softmax(dim=3))
        out: Tensor = self.attention_out((weights @ value).transpose(1, 2).flatten(2))
        return out
