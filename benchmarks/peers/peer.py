"""What every entry of the benchmark can do, and the run that all of them come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from decant.tasks.task import Task

Answer = Callable[[list[str]], list[str]]  # texts in, a label per text out


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run and the settings that the entries are prepared with.

    Attributes:
        folder: with corpus/, encoder/, tokens/, teacher/ and onnx/.
        task: one target with classes.
        c_grid: of the linear models, chosen on validation rows.
        finetune: the section of params.yaml, for an encoder that is fine-tuned as the teacher was.
    """

    folder: Path
    task: Task
    c_grid: Sequence[float]
    seed: int
    finetune: dict[str, object]

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the classes, in the order of the logits."""
        return self.task.outputs


class Peer(Protocol):
    """An entry. Its module imports little: a cold start counts what `open` imports."""

    def prepare(self, run: Run, folder: Path) -> None:
        """Make the folder with what `open` needs; its bytes are the entry's size."""

    def open(self, folder: Path, threads: int) -> Answer:
        """Load it; `threads` within one call, 0 means all cores."""
