"""The fastest student: the mean of the tokens' embeddings, with a small hidden layer if wanted.

Without the layer it is a Model2Vec model (Tulkens and van Dongen 2024) with a trained output.
"""

from torch import Tensor, nn
from torch.nn import functional

from decant.models.pooling import pool
from decant.runtime.errors import UserError
from decant.students._layers import layer_matrix
from decant.students._projected_bert import ProjectedBert
from decant.students.options.static import Config


class Static(nn.Module):
    """states (B, L, W), mask (B, L) → (B, hidden), or (B, W) without a hidden layer."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, config.hidden) if config.hidden else None
        self.dropout = nn.Dropout(config.dropout)
        self.output_size = config.hidden or width

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        features = pool(states, mask, "mean")
        if self.hidden is not None:
            features = functional.relu(self.hidden(features))
        dropped: Tensor = self.dropout(features)
        return dropped


def build(config: Config, *, width: int, max_length_tokens: int) -> Static:
    return Static(config, width)


def transfer(body: Static, bert: ProjectedBert) -> dict[str, bool]:
    """BERT's matrix, read from the student's space (see `reading`), into the hidden layer.

    Row i of matrix and bias goes into unit i. Units without a row keep their random weights,
    rows without a unit are left out. A linear map of a mean is the mean of the
    maps: before its ReLU the layer gives the mean of M t + b over the tokens.

    Raises UserError where there is a matrix but no hidden layer.
    """
    filled = layer_matrix(bert)
    if filled is None:
        return {}
    if body.hidden is None:
        raise UserError(
            f"a static student without a hidden layer cannot use BERT's {bert.matrix} matrix",
            code="parameter-conflict",
            hint="set transfer_weights.layer_matrix to none, or students.static.hidden above 0",
        )
    weight, bias = filled
    units = min(len(body.hidden.weight), len(weight))
    body.hidden.weight[:units] = weight[:units]
    body.hidden.bias[:units] = bias[:units]
    whole = units == len(body.hidden.weight)
    return {"hidden.weight": whole, "hidden.bias": whole}
