"""When a training saves a checkpoint, and how it goes on from one in the middle of an epoch.

The Trainer saves weights, optimizer, schedule, random numbers and the order of batches. It knows
nothing of a clock, counts an epoch's loss anew when it goes on, and replaces what it saved before
the new one is on the disk.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState
from transformers import TrainingArguments as Arguments

from decant.runtime.artifacts import read_json, write_json
from decant.runtime.cache_folder import discard, seal
from decant.runtime.errors import UserError
from decant.runtime.log_lines import log_line
from decant.training.checkpoints import STATE, Checkpoints, remove_all_but
from decant.training.processes import agreed, count, index, wait_for_all

VARIABLE = "DECANT_CHECKPOINT_SECONDS"
SECONDS = 60.0


def seconds_between_saves() -> float:
    """DECANT_CHECKPOINT_SECONDS, or 60. Raises UserError for what is no number of seconds."""
    text = os.environ.get(VARIABLE, str(SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:  # nor NaN
        raise UserError(
            f"{VARIABLE} is '{text}'",
            code="variable-value",
            hint="give the seconds of work that may be lost, such as 60; 0 saves after every step",
        )
    return seconds


class Saving(TrainerCallback):
    """Saves in the middle of an epoch too, and keeps the last checkpoint and the best epoch's.

    Args:
        trainer: its sampler has `set_epoch`.
        kept: the Trainer's output folder.
        steps_per_epoch: of the optimizer.
    """

    def __init__(self, trainer: Trainer, kept: Checkpoints, steps_per_epoch: int) -> None:
        self.trainer, self.kept, self.steps_per_epoch = trainer, kept, steps_per_epoch
        self.seconds = seconds_between_saves()
        self._saved = time.monotonic()
        self._gave_up = False

    def on_train_begin(
        self, args: Arguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Go on with the epoch's loss and batches."""
        if last := self.kept.last:
            restore_best(state, self.kept)
            loss = read_json(_loss_file(last))
            self.trainer._tr_loss = torch.tensor(loss["sum"], device=args.device)
            self.trainer._globalstep_last_logged = loss["since_step"]
            # The Trainer does not reach it where several processes share a batch.
            self.trainer.batches.set_epoch(state.global_step // self.steps_per_epoch)  # type: ignore[attr-defined]
        self._saved = time.monotonic()

    def on_step_end(
        self, args: Arguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """An epoch's last step is saved with its evaluation, else that would be left out."""
        if state.global_step % self.steps_per_epoch and not self._gave_up:
            is_due = time.monotonic() - self._saved >= self.seconds
            control.should_save = control.should_save or bool(agreed([int(is_due)])[0])

    def on_save(
        self, args: Arguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """The new one counts before the old one goes."""
        new = self.kept.of(state.global_step)
        with self.within_an_epoch_it_may_fail(state):
            if self._gave_up and not new.is_dir():
                return
            loss = {
                "sum": self.trainer._tr_loss.item(),
                "since_step": self.trainer._globalstep_last_logged,
            }
            write_json(_loss_file(new), loss)
            wait_for_all()  # each writes its random numbers and loss
            if index() == 0:
                seal(new)
                remove_all_but(self.kept.folder, {new, self.kept.of(state.best_global_step or -1)})
        self._saved = time.monotonic()

    @contextmanager
    def within_an_epoch_it_may_fail(self, state: TrainerState) -> Iterator[None]:
        """A full disk: the training goes on. At an epoch's end it needs what the block writes."""
        try:
            yield
        except (OSError, RuntimeError, SafetensorError) as error:
            if state.global_step % self.steps_per_epoch == 0 or count() > 1:
                raise
            self._gave_up = True
            discard(self.kept.of(state.global_step))
            log_line(
                f"no more checkpoints are saved within an epoch in {self.kept.folder}: "
                f"{str(error).partition(chr(10))[0]}"
            )


def take_finished(trainer: Trainer, kept: Checkpoints) -> None:
    """Give the model what a training that had ended gave it, as if it had ended now."""
    assert kept.last
    trainer.state = TrainerState.load_from_json(str(kept.last / STATE))
    restore_best(trainer.state, kept)
    trainer._load_best_model()
    trainer._load_rng_state(str(kept.last))  # what follows draws from them


def restore_best(state: TrainerState, kept: Checkpoints) -> None:
    """Its absolute path was written, and the folder may have moved."""
    if state.best_global_step:
        state.best_model_checkpoint = str(kept.of(state.best_global_step))


def _loss_file(checkpoint: Path) -> Path:
    """Of this process: the sum of the epoch's losses so far, and the step that it counts from."""
    return checkpoint / f"epoch_loss_{index()}.json"
