"""Where a training keeps its checkpoints, so that an interrupted one can resume.

Without DECANT_CHECKPOINTS they are in a temporary folder, for the best epoch alone. With it they
are in that folder, such as a volume that outlives an evicted pod, and include the optimizer. (torch
reads that with weights_only: nothing in it is executed.)

<DECANT_CHECKPOINTS>/<digest of step, inputs, parameters, code and name>/checkpoint-<steps>/
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from decant.runtime.artifacts import read_json
from decant.runtime.errors import UserError
from decant.runtime.identity import text_digest
from decant.training.processes import index, wait_for_all

VARIABLE = "DECANT_CHECKPOINTS"
_STATE = "trainer_state.json"


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The folder to write into.

    Attributes:
        kept: whether a later process can resume from them; then they have more than the weights.
        last: the one to resume from, None at the start.
    """

    folder: Path
    kept: bool = False
    last: Path | None = None

    @property
    def done_steps(self) -> int:
        """Steps that the training had made there."""
        return _steps(self.last) if self.last else 0


@contextmanager
def checkpoints(identity: str, name: str) -> Iterator[Checkpoints]:
    """Removed when the block ends well; kept ones stay when it does not.

    Args:
        identity: of the step that trains. Without one nothing is kept: it could not be found
            again.
        name: of the model; a step may train several.

    Raises UserError when the folder cannot be created.
    """
    root = os.environ.get(VARIABLE)
    if not root or not identity:
        with tempfile.TemporaryDirectory(prefix="decant-fit-") as folder:
            yield Checkpoints(folder=Path(folder))
        return
    own = Path(root) / text_digest(f"{identity} {name}")[:32]
    try:
        own.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write into {VARIABLE} {root}: {error.strerror}",
            code="path-unwritable",
            hint="mount a volume there that user 10001 may write, or unset it",
        ) from None
    last = _last_complete(own)
    wait_for_all()  # no process writes before every process has looked
    yield Checkpoints(folder=own, kept=True, last=last)
    wait_for_all()
    if index() == 0:
        shutil.rmtree(own, ignore_errors=True)


def _last_complete(folder: Path) -> Path | None:
    """The last complete one: its state is the last file that is written."""
    by_step = {_steps(found): found for found in folder.glob("checkpoint-*")}
    return next(
        (by_step[step] for step in sorted(by_step, reverse=True) if _is_complete(by_step[step])),
        None,
    )


def _steps(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _is_complete(checkpoint: Path) -> bool:
    try:
        read_json(checkpoint / _STATE)
    except (OSError, ValueError):
        return False
    return True
