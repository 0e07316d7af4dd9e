"""One training run on labelled or distilled examples, the best epoch kept.

The engine is transformers' Trainer: it has mixed precision, schedules, early stopping, the best
checkpoint and, under torchrun, several processes.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
)
from transformers import TrainingArguments as Arguments
from transformers.utils import logging as transformers_logging

from decant.runtime.errors import UserError
from decant.runtime.reporter import Advance, Reporter
from decant.tasks.losses import disagreement
from decant.tasks.scores import scores, weighted
from decant.tasks.task import Target, Task
from decant.training import processes
from decant.training.checkpoints import Checkpoints, checkpoints
from decant.training.device import Device, pick_device, use_bfloat16
from decant.training.dropout import use_processor_dropout
from decant.training.examples import Examples, LengthBuckets, Padding
from decant.training.finite import FiniteGuard
from decant.training.losses import Loss
from decant.training.plan import TrainingPlan
from decant.training.row_adamw import RowAdamW, clip_gradients
from decant.training.saving import Saving, take_finished


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """The best epoch (from 1) and its score on validation rows; the model now has its weights.

    `curves` has a row per epoch: epoch, train_loss, validation_loss, and validation_METRIC, the
    task's metric; of several targets also validation_METRIC_TARGET of each. `validation` has the
    best epoch's of these, by the same names.
    """

    best_epoch: int
    validation_score: float
    validation: Mapping[str, float]
    curves: pd.DataFrame


def fit(
    model: nn.Module,
    task: Task,
    train: Examples,
    validation: Examples,
    *,
    loss: Loss,
    plan: TrainingPlan,
    device: Device,
    pad_id: int,
    seed: int,
    name: str,
    reporter: Reporter,
    consistency_weight: float = 0.0,
    parameter_groups: Sequence[Mapping[str, Any]] | None = None,
) -> FitResult:
    """Train in place and keep the epoch with the best score on validation rows.

    Args:
        model: has `features` (input_ids → (B, F)) and `output` (features → logits), as teacher
            and student do.
        loss: a module's own parameters are trained with the model's.
        name: of the model; it begins the names of its curves.
        consistency_weight: of the disagreement between two dropouts of the same rows (R-Drop);
            0 leaves out the second pass.
        parameter_groups: AdamW groups with their own `lr`; all parameters at the plan's otherwise.

    Raises UserError at the first loss, logit or weight that is not a finite number.
    """
    where = pick_device(device)
    if where.type == "cpu":
        use_processor_dropout(model)
    transformers_logging.set_verbosity_error()
    steps_per_epoch = -(-len(train.draws) // plan.batch_size)
    steps = steps_per_epoch * plan.epochs
    with (
        checkpoints(reporter.work, name, where.type, reporter.threads) as kept,
        reporter.progress(f"training {name}", steps, done=kept.done_steps) as advance,
    ):
        curves = _Curves(name, task, reporter, advance)
        trainer = _Trainer(
            model=_WithLoss(model, task, loss, consistency_weight),
            args=_arguments(kept, task, plan, where, steps=steps, seed=seed),
            train_dataset=train,
            eval_dataset=validation,
            data_collator=Padding(pad_id),
            compute_metrics=partial(_score, task),
            optimizers=(_optimizer(model, loss, plan, parameter_groups), None),
            callbacks=[curves, EarlyStoppingCallback(plan.patience_epochs)],
        )
        trainer.guard = FiniteGuard(name, model, train, pad_id, reporter)
        trainer.remove_callback(PrinterCallback)
        if kept.kept:
            trainer.saving = Saving(trainer, kept, steps_per_epoch)
            trainer.add_callback(trainer.saving)
        if kept.last:
            reporter.message(f"{name}: goes on from step {kept.done_steps} of {steps}, as kept")
            curves.repeat(kept.state["log_history"])
        if kept.is_finished:
            take_finished(trainer, kept)
        else:
            trainer.train(resume_from_checkpoint=str(kept.last) if kept.last else None)
        trainer.guard.check_weights()
        table = _curves(trainer.state.log_history, task)
    reached = table[f"validation_{task.metric}"]
    best = table.iloc[int(reached.argmax())]
    model.to("cpu").eval()
    return FitResult(
        best_epoch=int(best["epoch"]),
        validation_score=float(reached.max()),
        validation={name: float(best[name]) for name in map(_validation, _names(task))},
        curves=table,
    )


def default_groups(
    model: nn.Module,
    plan: TrainingPlan,
    *,
    slower: nn.Module | None = None,
    share: float = 1.0,
) -> list[Mapping[str, Any]]:
    """AdamW groups of all trainable parameters; biases and norms are not decayed.

    The parameters of `slower`, an embedding table, learn at this share of the plan's rate, and of
    their rows those that come (see RowAdamW).
    """
    slow = {id(parameter) for parameter in slower.parameters()} if slower else set()
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault((id(parameter) in slow, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": plan.learning_rate * (share if is_slow else 1.0),
            "weight_decay": plan.weight_decay if decayed else 0.0,
            "by_rows": is_slow,
        }
        for (is_slow, decayed), parameters in groups.items()
    ]


class _WithLoss(nn.Module):
    """A model and its loss as one forward pass: DDP sees every parameter that is used.

    Also hides a model's own `config` from Trainer, which would write into it.

    forward: a batch and how far the training is (0 to 1) → loss, logits (B, W).
    """

    def __init__(self, model: nn.Module, task: Task, loss: Loss, consistency_weight: float) -> None:
        super().__init__()
        self.model = model
        self.task = task
        self.loss = loss  # where it has parameters they move to the device with the model
        self.consistency_weight = consistency_weight

    def forward(self, batch: dict[str, Tensor], progress: float) -> tuple[Tensor, Tensor]:
        loss, logits = self._once(batch, progress)
        if self.consistency_weight and self.training:
            second, again = self._once(batch, progress)
            loss = (loss + second) / 2 + self.consistency_weight * disagreement(
                self.task, logits, again
            )
        return loss, logits

    def _once(self, batch: dict[str, Tensor], progress: float) -> tuple[Tensor, Tensor]:
        features = self.model.features(batch["input_ids"])  # type: ignore[operator]
        logits = self.model.output(features).float()  # type: ignore[operator]
        with torch.autocast(logits.device.type, enabled=False):
            return self.loss(logits, features.float(), batch, progress), logits


class _Trainer(Trainer):
    """Trainer for a _WithLoss and our batches. `guard` stops it where numbers are none."""

    guard: FiniteGuard
    batches: LengthBuckets
    saving: Saving | None = None

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Tensor], *_: object, **__: object
    ) -> Tensor:
        loss: Tensor
        loss, logits = model(inputs, self._progress)
        step, epoch = self.state.global_step + 1, self.state.epoch or 0.0
        self.guard.check_step(loss, logits, inputs, step=step, epoch=epoch)
        return loss

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Tensor], *_: object, **__: object
    ) -> tuple[Tensor, Tensor, Tensor]:
        inputs = self._prepare_inputs(inputs)
        with torch.inference_mode(), self.compute_loss_context_manager():
            loss, logits = model(inputs, self._progress)
        self.guard.check_validation(loss, logits, epoch=self.state.epoch or 0.0)
        return loss, logits, inputs["labels"]

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        gradients = [parameter.grad for parameter in model.parameters()]
        if any(gradient is not None and gradient.is_sparse for gradient in gradients):
            return clip_gradients(model.parameters(), self.args.max_grad_norm)
        length: Tensor = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        return length

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        may_fail = self.saving.within_an_epoch_it_may_fail if self.saving else nullcontext
        with may_fail(self.state):
            super()._save_checkpoint(model, trial)

    @property
    def _progress(self) -> float:
        return self.state.global_step / max(self.state.max_steps, 1)

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthBuckets:
        examples: Any = train_dataset if train_dataset is not None else self.train_dataset
        self.batches = LengthBuckets(
            examples.rows.lengths,
            self.args.per_device_train_batch_size,
            self.args.seed,
            draws=examples.draws,
        )
        return self.batches

    def _get_eval_sampler(self, eval_dataset: Any) -> list[int]:  # type: ignore[override]
        """By length, so that little is padded; the order does not change the figures."""
        order: list[int] = np.argsort(eval_dataset.rows.lengths, kind="stable").tolist()
        return order


class _Curves(TrainerCallback):
    """Advances the bar and reports every epoch's figures."""

    def __init__(self, name: str, task: Task, reporter: Reporter, advance: Advance) -> None:
        self.name, self.task, self.reporter, self.advance = name, task, reporter, advance

    def on_step_end(self, *_: object, **__: object) -> None:
        self.advance(1)

    def on_log(
        self, args: Arguments, state: TrainerState, control: TrainerControl, **extra: Any
    ) -> None:
        logs: dict[str, float] = extra["logs"]
        epoch, metric = round(state.epoch or 0), self.task.metric
        self._points(epoch, logs)
        if f"eval_{metric}" in logs:
            figures = _curves(state.log_history, self.task).iloc[-1]
            self.reporter.message(
                f"{self.name} epoch {epoch}: loss {figures['train_loss']:.4f}, validation "
                f"{metric.replace('_', ' ')} {figures[f'validation_{metric}']:.4f}"
            )

    def repeat(self, history: Sequence[Mapping[str, float]]) -> None:
        """The points of an attempt that was cut off: this one's run has none of them."""
        for logs in history:
            self._points(round(logs["epoch"]), logs)

    def _points(self, epoch: int, logs: Mapping[str, float]) -> None:
        names = _curve_names(self.task)
        for key in names.keys() & logs.keys():
            self.reporter.point(f"{self.name}_{names[key]}", epoch, logs[key])


def _names(task: Task) -> list[str]:
    """The metric of the task; of several targets also METRIC_TARGET of each."""
    return [task.metric, *map(_of_target, _several(task))]


def _several(task: Task) -> list[Target]:
    """Of several targets those that are learned: a control may be trained for one of them alone."""
    learned = [target for target in task.targets if target.weight > 0]
    return learned if len(learned) > 1 else []


def _validation(name: str) -> str:
    return f"validation_{name}"


def _of_target(target: Target) -> str:
    return f"{target.metric}_{target.name}"


def _curve_names(task: Task) -> dict[str, str]:
    """Our names of what the Trainer logs."""
    return {
        "loss": "train_loss",
        "eval_loss": "validation_loss",
        **{f"eval_{name}": _validation(name) for name in _names(task)},
    }


def _curves(history: Sequence[Mapping[str, float]], task: Task) -> pd.DataFrame:
    """A row per epoch, from the Trainer's log, also of an interrupted attempt."""
    names = _curve_names(task)
    epochs: dict[int, dict[str, float]] = {}
    for logs in history:
        figures = epochs.setdefault(round(logs["epoch"]), {})
        figures.update({names[key]: float(logs[key]) for key in names if key in logs})
    frame = pd.DataFrame([{"epoch": epoch, **found} for epoch, found in sorted(epochs.items())])
    return frame[frame[f"validation_{task.metric}"].notna()].reset_index(drop=True)


def _arguments(
    kept: Checkpoints,
    task: Task,
    plan: TrainingPlan,
    where: torch.device,
    *,
    steps: int,
    seed: int,
) -> Arguments:
    """The Trainer's. Raises UserError when the processes cannot share a batch evenly."""
    shared = processes.count() > 1
    arguments = Arguments(
        output_dir=str(kept.folder),
        num_train_epochs=plan.epochs,
        # Several processes share each batch: the same steps, whatever their number.
        accelerator_config={"split_batches": True},
        ddp_find_unused_parameters=False,
        ddp_backend="gloo" if shared and where.type == "cpu" else None,
        per_device_train_batch_size=_shared_out(plan.batch_size),
        per_device_eval_batch_size=plan.batch_size * -(-64 // plan.batch_size),
        learning_rate=plan.learning_rate,
        lr_scheduler_type=plan.schedule,
        warmup_steps=round(plan.warmup_share * steps),
        weight_decay=plan.weight_decay,
        max_grad_norm=plan.max_gradient_norm,
        bf16=use_bfloat16(plan.precision, where),
        use_cpu=where.type == "cpu",
        seed=seed,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        save_total_limit=None if kept.kept else 1,  # what is kept, Saving removes
        save_only_model=not kept.kept,
        restore_callback_states_from_checkpoint=kept.kept,
        load_best_model_at_end=True,
        metric_for_best_model=task.metric,
        greater_is_better=True,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=where.type == "cuda",
        report_to="none",
        disable_tqdm=True,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # other GPUs belong to other processes
    return arguments


def _shared_out(batch_size: int) -> int:
    """Raises UserError when the processes cannot share a batch evenly."""
    if batch_size % processes.count():
        raise UserError(
            f"{processes.count()} processes cannot share a batch of {batch_size} rows evenly",
            code="parameter-value",
            hint=f"set training.batch_size to a multiple of {processes.count()}",
        )
    return batch_size


def _optimizer(
    model: nn.Module,
    loss: Loss,
    plan: TrainingPlan,
    groups: Sequence[Mapping[str, Any]] | None,
) -> torch.optim.Optimizer:
    """AdamW on the groups, or on all parameters; the loss's own are added.

    A table whose gradient is sparse is updated by the rows of the batch.
    """
    own_groups = [dict(group) for group in groups or default_groups(model, plan)]
    if isinstance(loss, nn.Module) and (own := list(loss.parameters())):
        own_groups.append({"params": own, "lr": plan.learning_rate, "weight_decay": 0.0})
    return RowAdamW(own_groups, lr=plan.learning_rate, weight_decay=0.0, fused=True)


def _score(task: Task, prediction: EvalPrediction) -> dict[str, float]:
    """An undefined score, such as of answers that are all alike, is the worst."""
    assert isinstance(prediction.predictions, np.ndarray)
    assert isinstance(prediction.label_ids, np.ndarray)
    found = scores(task, prediction.predictions, prediction.label_ids)
    named = {task.metric: weighted(task, found)}
    named |= {_of_target(target): found[target.name] for target in _several(task)}
    return {name: value if np.isfinite(value) else -1.0 for name, value in named.items()}
