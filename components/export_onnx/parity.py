"""Whether an exported graph answers as its PyTorch model, on real text."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from decant.data.tokens import TokenRows, pad
from decant.runtime.errors import UserError
from decant.tasks.scores import agreement
from decant.tasks.task import Task

BATCH = 16


@dataclass(frozen=True, kw_only=True)
class ParityLimits:
    """What a graph must reach on so many validation rows to answer as its PyTorch model."""

    rows: int
    max_logit_difference: float
    min_label_agreement: float


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Over `rows` rows: the largest absolute difference of a logit, the share of equal answers."""

    rows: int
    max_logit_difference: float
    label_agreement: float


@torch.inference_mode()
def check_parity(
    model: nn.Module,
    task: Task,
    graph: Path,
    rows: TokenRows,
    *,
    pad_id: int,
    limits: ParityLimits,
    role: str,
) -> Parity:
    """Compare on the first rows, in padded batches and the first few also alone.

    Raises UserError when a limit does not hold, which stops the run.
    """
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    model = model.to("cpu").eval()
    count = min(limits.rows, len(rows))
    groups = [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]
    groups += [range(row, row + 1) for row in range(min(BATCH, count))]
    ours, theirs = [], []
    for group in groups:
        ids = pad((rows[row] for row in group), pad_id)
        ours.append(session.run(None, {"input_ids": ids})[0])
        theirs.append(model(torch.from_numpy(ids)).numpy())
    logits, reference = np.concatenate(ours), np.concatenate(theirs)
    difference = float(np.abs(logits - reference).max())
    parity = Parity(
        rows=count,
        max_logit_difference=difference,
        label_agreement=agreement(task, logits, reference),
    )
    if (
        not parity.max_logit_difference <= limits.max_logit_difference
        or parity.label_agreement < limits.min_label_agreement
    ):
        raise UserError(
            f"the exported {role} does not answer as its PyTorch model: on {count} rows "
            f"logits differ by up to {difference:.2e} (allowed {limits.max_logit_difference:.0e}), "
            f"labels agree on {parity.label_agreement:.2%} "
            f"(required {limits.min_label_agreement:.2%})",
            code="export-parity",
            hint="find the operator without an exact ONNX form; do not serve this graph",
        )
    return parity
