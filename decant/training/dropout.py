"""Dropout for training on a processor, whose noise is drawn sixteen bits a value.

PyTorch's own draws a double for each value, one after the other: about 20 ns, which for a small
student is more than its matrix products take. Measured: docs/benchmarks.
"""

import torch
from torch import Tensor, nn

_BITS = 16
_LOW = torch.iinfo(torch.int64).min


class ProcessorDropout(nn.Module):
    """As nn.Dropout: each value is zero with probability p, the others are divided by 1 - p.

    p is met to within 2^-17. forward: any shape and floating type → the same.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        """The values, some of them zero in training."""
        if not self.training or self.p == 0:
            return values
        dropped = round(self.p * 2**_BITS)
        words = torch.empty(-(-values.numel() * _BITS // 64), dtype=torch.int64)
        noise = words.random_(_LOW, None).view(torch.int16)[: values.numel()]
        kept = noise >= dropped - 2 ** (_BITS - 1)
        scales = kept.view(torch.uint8).to(values.dtype).mul_(1 / (1 - self.p))
        scaled: Tensor = values * scales.view(values.shape)
        return scaled


def use_processor_dropout(model: nn.Module) -> None:
    """Replace every nn.Dropout within the model, in place; weights and names stay."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.Dropout:
                setattr(module, name, ProcessorDropout(child.p).train(child.training))
