"""A BERT so small that its weights are set by hand, and one as big as its students need."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from decant.models.encoder import load_encoder
from decant.students._projected_bert import LayerMatrix, ProjectedBert

MakeBert = Callable[..., ProjectedBert]


@pytest.fixture
def bert_of() -> MakeBert:
    """A ProjectedBert whose tokens t became (t - offset) @ into."""

    def make(
        encoder: nn.Module,
        into: Tensor,
        *,
        offset: Tensor | None = None,
        matrix: LayerMatrix = "none",
        layer: int = 0,
    ) -> ProjectedBert:
        return ProjectedBert(
            encoder=encoder,
            into=into,
            back=torch.linalg.pinv(into),
            offset=torch.zeros(len(into)) if offset is None else offset,
            matrix=matrix,
            layer=layer,
        )

    return make


@pytest.fixture
def by_hand() -> nn.Module:
    """BERT with one layer, H = 2, 3 intermediate units: M = (1 2 | 3 4 | 5 6), b = (.1, .2, .3).

    The value matrix is (1 0 | 0 -1), its bias (7, 8).
    """
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=5,
        hidden_size=2,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=3,
        max_position_embeddings=8,
    )
    encoder = BertModel(config, add_pooling_layer=False).eval()
    layer = encoder.encoder.layer[0]
    with torch.no_grad():
        layer.intermediate.dense.weight[:] = torch.tensor([[1.0, 2], [3, 4], [5, 6]])
        layer.intermediate.dense.bias[:] = torch.tensor([0.1, 0.2, 0.3])
        layer.attention.self.value.weight[:] = torch.tensor([[1.0, 0], [0, -1]])
        layer.attention.self.value.bias[:] = torch.tensor([7.0, 8.0])
    return encoder


@pytest.fixture(scope="session")
def encoder(tiny_encoder: Path) -> nn.Module:
    """2 layers, 32 wide, 64 intermediate units; its biases and norms are random too."""
    encoder = load_encoder(tiny_encoder).eval()
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if name.endswith("bias") or "LayerNorm" in name:
                parameter += 0.3 * torch.randn(parameter.shape, generator=draw)
    return encoder
