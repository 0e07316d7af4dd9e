"""AdamW that, for an embedding table, touches the rows of the batch alone."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class RowAdamW(torch.optim.AdamW):
    """AdamW; of the parameters of a group with `by_rows` only rows with a gradient are updated.

    A table of 14,000 rows takes longer to update than a small student's matrices take to multiply,
    and a batch has a tenth of the rows. For a row that is not in the batch neither its momentum nor
    its value changes, and its weight decays only when it comes ("lazy" Adam, as
    torch.optim.SparseAdam, which knows no decay and no dense parameters). A sparse gradient names
    its rows; of a dense one, as several processes and GPUs share it, they are those not all zero.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Update all parameters that have a gradient."""
        rows = [
            (parameter, parameter.grad, group)
            for group in self.param_groups
            for parameter in group["params"]
            if parameter.grad is not None and group.get("by_rows")
        ]
        for parameter, _, _ in rows:
            parameter.grad = None
        loss = super().step(closure)
        for parameter, gradient, group in rows:
            self._update(parameter, gradient, group)
            parameter.grad = gradient
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """One step of Adam (Kingma and Ba 2015, arXiv:1412.6980) on the rows of the gradient."""
        if gradient.is_sparse:
            gradient = gradient.coalesce()
            at, values = gradient.indices()[0], gradient.values()
        else:
            at = gradient.any(dim=1).nonzero().squeeze(1)
            values = gradient[at]
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        first, second = group["betas"]
        steps = float(state["step"])
        mean = state["exp_avg"][at].lerp_(values, 1 - first)
        square = state["exp_avg_sq"][at].mul_(second).addcmul_(values, values, value=1 - second)
        state["exp_avg"][at], state["exp_avg_sq"][at] = mean, square
        size = (square / (1 - second**steps)).sqrt_().add_(group["eps"])
        moved = parameter[at].mul_(1 - group["lr"] * group["weight_decay"])
        parameter[at] = moved.addcdiv_(mean, size, value=-group["lr"] / (1 - first**steps))


@torch.no_grad()
def clip_gradients(parameters: Iterable[Tensor], longest: float) -> Tensor:
    """Shorten all gradients together to this length; their length before, a scalar.

    As torch.nn.utils.clip_grad_norm_, which does not take sparse ones.
    """
    gradients = []
    for parameter in parameters:
        if parameter.grad is not None:
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
                gradients.append(parameter.grad.values())
            else:
                gradients.append(parameter.grad)
    length = torch.nn.utils.get_total_norm(gradients)
    share = (longest / (length + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(share)
    return length
