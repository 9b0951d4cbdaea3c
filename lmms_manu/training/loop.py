"""The loop: transformers' Trainer with a loss and an order of its own.

Trainer brings the optimiser, schedules, mixed precision, data-parallel processes, states to go on from and loggers.
The whole order is fixed before the first step, so that a training that goes on from a state reads what it would have
read; each process takes a part of every batch, so that the number of processes changes nothing but rounding.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback, TrainingArguments

from lmms_manu.ahead import one_ahead
from lmms_manu.errors import ModelError
from lmms_manu.measuring.processes import Processes
from lmms_manu.training.examples import Batch
from lmms_manu.training.loggers import logging_callbacks
from lmms_manu.training.objective import Objective
from lmms_manu.training.order import Turn
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.state import last_state

_TRAINED = "trained.safetensors"
_POINTS = 100
"""About how many points a curve has."""

Load = Callable[[Turn], Mapping[str, Batch]]
Curve = list[dict[str, float]]


def run(
    objective: Objective,
    trained: Mapping[str, nn.Parameter],
    turns: Sequence[Turn],
    load: Load,
    settings: TrainingSettings,
    folder: Path,
    *,
    half: bool,
    title: str,
    keep: Callable[[int], None] | None = None,
    collect: Callable[[], None] | None = None,
) -> Curve:
    """Trains until the turns are through.

    Args:
        objective: the model with its loss.
        trained: the parameters that are trained, by name; what a state holds.
        turns: the batches, in order.
        load: makes a turn's batches, by set; in another thread, while the turn before it is learnt.
        settings: the optimiser's.
        folder: where states are kept, and from whose last state the training goes on.
        half: whether to compute in half precision.
        title: of the progress bar.
        keep: called in the first process with the number of the step, every `keep_every` steps.
        collect: called in every process before `keep` and at the end; None where nothing lies in shards.

    Returns:
        The losses along the way.

    Raises:
        ModelError: a loss is not a number.
    """
    steps = math.ceil(len(turns) / settings.gradient_accumulation)
    arguments = _arguments(settings, folder, steps, half, objective.device)
    trainer = _Trainer(objective, trained, turns, arguments)
    for usual in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(usual)
    first = Processes.current().first
    trainer.add_callback(_Progress(title, shown=first))
    for callback in logging_callbacks(settings):
        trainer.add_callback(callback)
    if keep is not None and settings.keep_every is not None:
        trainer.add_callback(_Keep(keep if first else lambda step: None, settings.keep_every, collect))
    state = last_state(folder)
    with one_ahead(load, turns) as trainer.batches:
        trainer.train(resume_from_checkpoint=str(state) if state is not None else None)
    if collect is not None:
        collect()
    return [point for point in trainer.state.log_history if "loss" in point]


def steps_of(turns: Sequence[Turn], settings: TrainingSettings) -> int:
    """How many optimiser steps the turns make."""
    return math.ceil(len(turns) / settings.gradient_accumulation)


def _arguments(
    settings: TrainingSettings, folder: Path, steps: int, half: bool, device: torch.device
) -> TrainingArguments:
    constant = settings.schedule == "constant" and settings.warmup > 0
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=settings.gradient_accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant_with_warmup" if constant else settings.schedule,
        warmup_steps=round(settings.warmup * steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        bf16=half,
        use_cpu=device.type == "cpu",
        seed=settings.seed,
        logging_steps=max(1, steps // _POINTS),
        logging_first_step=True,
        # Otherwise a loss that is not a number would be left out of the mean.
        logging_nan_inf_filter=False,
        save_strategy="steps" if settings.resume_every else "no",
        save_steps=max(1, settings.resume_every),
        save_total_limit=1,
        report_to=[],
        remove_unused_columns=False,
        label_names=[],
        dataloader_pin_memory=False,
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
        disable_tqdm=True,
    )
    if arguments.device.type != device.type or (device.index or 0) != (arguments.device.index or 0):
        raise ModelError(
            f"The model is on {device}, and a training would run on {arguments.device}: leave device out, and choose "
            "the GPU by CUDA_VISIBLE_DEVICES."
        )
    arguments._n_gpu = min(1, arguments.n_gpu)
    return arguments


class _Trainer(Trainer):
    """Trainer with batches that are chosen beforehand, and states that hold what is trained and nothing else."""

    def __init__(
        self,
        objective: Objective,
        trained: Mapping[str, nn.Parameter],
        turns: Sequence[Turn],
        arguments: TrainingArguments,
    ) -> None:
        super().__init__(model=objective, args=arguments, train_dataset=turns)
        self._objective = objective
        self._trained = dict(trained)
        self.batches: Sequence[Mapping[str, Batch]] = ()

    def get_train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(
            self.batches,  # type: ignore[arg-type]  # a sequence is all that is asked of a dataset
            batch_size=1,
            shuffle=False,
            collate_fn=lambda picked: {"batches": picked[0]},
        )

    def training_step(self, model: nn.Module, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """A forward and a backward pass for one set after the other, so that the activations of one lie in memory."""
        model.train()
        if self.is_deepspeed_enabled:
            return self._step_at_once(model, inputs["batches"])
        *earlier, last = inputs["batches"].items()
        losses = []
        for group, batch in earlier:
            # Gradients that lie in shards are added up there: whole ones would need the memory that shards save.
            with contextlib.nullcontext() if self.is_fsdp_enabled else self.accelerator.no_sync(model):
                losses.append(self._backward(model, group, batch))
        losses.append(self._backward(model, *last))
        return torch.stack(losses).sum()

    def _step_at_once(self, model: nn.Module, batches: Mapping[str, Batch]) -> torch.Tensor:
        """One backward pass for all sets: DeepSpeed makes a step of the optimiser with each."""
        with self.compute_loss_context_manager():
            loss = torch.stack([model(group, batch) for group, batch in batches.items()]).sum()
            loss = loss / self.current_gradient_accumulation_steps
        self.accelerator.backward(loss, scale_wrt_gas=False)
        return loss.detach()

    def _backward(self, model: nn.Module, group: str, batch: Batch) -> torch.Tensor:
        with self.compute_loss_context_manager():
            loss: torch.Tensor = model(group, batch) / self.current_gradient_accumulation_steps
        self.accelerator.backward(loss)
        return loss.detach()

    def floating_point_ops(self, inputs: Any) -> int:
        return 0

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "loss" in logs:
            own = Processes.current().gather(self._objective.take())
            logs |= {name: sum(means[name] for means in own) / len(own) for name in own[0]}
            wrong = [name for name, value in logs.items() if not math.isfinite(value)]
            if wrong:
                raise ModelError(
                    f"Training failed at step {self.state.global_step}: {' and '.join(wrong)} is not a finite number. "
                    "Lower learning_rate, or use dtype=bfloat16 or float32."
                )
        super().log(logs, start_time)

    def _move_model_to_device(self, model: nn.Module, device: torch.device) -> None:
        """The model is where it was loaded."""

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if self.args.should_save:
            folder = Path(output_dir or str(self.args.output_dir))
            folder.mkdir(parents=True, exist_ok=True)
            values = {name: each.detach().to("cpu", copy=True).contiguous() for name, each in self._trained.items()}
            save_file(values, folder / _TRAINED)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        values = load_file(Path(resume_from_checkpoint, _TRAINED))
        for name, parameter in self._trained.items():
            parameter.data.copy_(values[name])


class _Progress(TrainerCallback):
    """A bar with the time that is left and the losses; and the last step is always logged."""

    def __init__(self, title: str, *, shown: bool) -> None:
        self._bar = tqdm(desc=title, unit=" steps", disable=not shown)

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._bar.reset(total=state.max_steps)
        self._bar.update(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._bar.update(1)
        if state.global_step >= state.max_steps:
            control.should_log = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float] | None = None, **more: Any) -> None:
        losses = {
            name.removesuffix("_cross_entropy"): value
            for name, value in (logs or {}).items()
            if name.endswith("_cross_entropy")
        }
        self._bar.set_postfix({name: f"{value:.3f}" for name, value in losses.items()}, refresh=False)

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        self._bar.close()


class _Keep(TrainerCallback):
    """Calls `keep` every so many steps."""

    def __init__(self, keep: Callable[[int], None], every: int, collect: Callable[[], None] | None) -> None:
        self._keep = keep
        self._every = every
        self._collect = collect or (lambda: None)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.global_step % self._every == 0:
            self._collect()
            self._keep(state.global_step)
