"""A training whose numbers are none stops at once, and leaves the batch to be looked at."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from decant.runtime.artifacts import write_json
from decant.runtime.cache_folder import cache_folder, write_once
from decant.runtime.errors import UserError
from decant.runtime.reporter import Reporter
from decant.training.examples import Examples

Batch = Mapping[str, Tensor]


class FiniteGuard:
    """Looks at every loss, and at the weights in the end.

    Args:
        name: of the model.
        train: the examples that batches are drawn from, padded with `pad_id`.
    """

    def __init__(
        self, name: str, model: nn.Module, train: Examples, pad_id: int, reporter: Reporter
    ) -> None:
        self.name, self.model, self.reporter = name, model, reporter
        self.train, self.pad_id = train, pad_id
        self._before: Batch | None = None

    def check_step(
        self, loss: Tensor, logits: Tensor, batch: Batch, *, step: int, epoch: float
    ) -> None:
        """Raises UserError where the loss or a logit of a training step is not a finite number.

        Args:
            step: from 1.
            epoch: epochs that are done, with a fraction.
        """
        if bool(torch.isfinite(loss).all() & torch.isfinite(logits).all()):
            self._before = batch
            return
        batches = {"batch": batch}
        if (where := self._broken_weights()) and self._before is not None:
            batches["batch_before"] = self._before  # its gradient broke the weights
        loss = loss.detach()
        file = self._keep(batches, loss, logits, step)
        raise self._diverged(
            f"at step {step} of epoch {math.floor(epoch) + 1} the loss is {float(loss):g}"
            + (f", as {where} is not finite since the step before" if where else ""),
            file,
        )

    def check_validation(self, loss: Tensor, logits: Tensor, *, epoch: float) -> None:
        """The same of a batch of validation rows, after an epoch."""
        if not bool(torch.isfinite(loss).all() & torch.isfinite(logits).all()):
            raise self._diverged(
                f"after epoch {round(epoch)} the loss on validation rows is {float(loss):g}", None
            )

    def check_weights(self) -> None:
        """Raises UserError where a weight is not a finite number."""
        if where := self._broken_weights():
            raise self._diverged(f"its weights in {where} are not all finite", None)

    def _broken_weights(self) -> str:
        for name, weights in self.model.named_parameters():
            if not bool(torch.isfinite(weights).all()):
                return name
        return ""

    def _keep(self, batches: Mapping[str, Batch], loss: Tensor, logits: Tensor, step: int) -> Path:
        """Write the rows of the batches, with their places in the training data."""
        names = [self.reporter.step, self.name, self.reporter.identity[:12], f"step-{step}"]
        file = cache_folder() / "diverged" / f"{'-'.join(filter(None, names))}.json"
        content = {
            "model": self.name,
            "step": step,
            "loss": _readable(loss),
            "logits": _readable(logits),
            **{name: self._rows(batch) for name, batch in batches.items()},
        }
        write_once(file, lambda partial: write_json(partial, content))
        return file

    def _rows(self, batch: Batch) -> list[dict[str, Any]]:
        """`row`: the first training row, from 0, with these token ids."""
        columns = {name: values.detach().cpu() for name, values in batch.items()}
        ids = [[id for id in row if id != self.pad_id] for row in columns["input_ids"].tolist()]
        places: dict[tuple[int, ...], int] = {}
        wanted = set(map(tuple, ids))
        for place, row in enumerate(self.train.rows):
            if (found := tuple(row.tolist())) in wanted:
                places.setdefault(found, place)
        return [
            {name: _readable(values[index]) for name, values in columns.items()}
            | {"row": places.get(tuple(own)), "input_ids": own}
            for index, own in enumerate(ids)
        ]

    def _diverged(self, problem: str, file: Path | None) -> UserError:
        look = f"; the rows of the batch are in {file}" if file else ""
        return UserError(
            f"the training of {self.name} diverged: {problem}",
            code="training-diverged",
            hint=f"lower learning_rate or max_gradient_norm of {self.reporter.step}'s training, or "
            f"set its precision to float32{look}",
        )


def _readable(values: Tensor) -> Any:
    """Nested lists; what JSON has no number for becomes a text, such as `nan`."""

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(inner) for inner in value]
        return value if not isinstance(value, float) or math.isfinite(value) else f"{value:g}"

    return one(values.detach().cpu().tolist())
