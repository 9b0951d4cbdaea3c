"""Training of a tiny model on people, phase by phase; it goes on where it was interrupted."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from lmms_manu.benchmarks.mllmu.synthetic.batches import IGNORED, Batches
from lmms_manu.benchmarks.mllmu.synthetic.curriculum import Curriculum
from lmms_manu.benchmarks.mllmu.synthetic.phases import Phase, Training
from lmms_manu.benchmarks.mllmu.synthetic.population import Person
from lmms_manu.benchmarks.mllmu.synthetic.random_stream import RandomStream
from lmms_manu.benchmarks.mllmu.synthetic.tiny_llava import END_TOKEN

_WARM_UP = 50
_STEPS_BETWEEN_REPORTS = 50


def train(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    people: Sequence[Person],
    data_seed: int,
    phases: Sequence[Phase],
    training: Training,
    state: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Trains `model` in place on everything that a dataset asks about `people`, but for the Test set.

    A training that was interrupted and goes on from its `state` takes the steps that it would have taken.

    Args:
        model: in float32; it is left in evaluation mode.
        processor: the model's.
        people: whom it is to know.
        data_seed: the seed that their dataset is made by.
        phases: one after the other.
        training: what they have in common.
        state: a file that the state is written to now and then, and read from at the start if it exists; the caller
            removes it once the model is saved.
        report: is given a line on the progress now and then.
    """
    done = _State.load(state, model) if state is not None and state.exists() else _State()
    # On a CPU the backward pass of the fused attention takes three times as long on heads as narrow as these.
    attention = model.config._attn_implementation
    model.set_attn_implementation("eager")
    model.train()
    for number, phase in enumerate(phases):
        if number < done.phase or (number == done.phase and done.steps == phase.steps):
            continue
        report(f"phase {number + 1} of {len(phases)}")
        lessons = Curriculum(people, data_seed, END_TOKEN, RandomStream(training.seed, "lessons", number))
        batches = Batches(lessons, processor, people, phase, training, number)
        resumed = done if number == done.phase else _State(number)
        _optimise(model, batches, training, phase, resumed, state, report)
    model.set_attn_implementation(attention)
    model.eval()


@dataclasses.dataclass
class _State:
    """How far a training has come: `steps` of `phase` are done."""

    phase: int = 0
    steps: int = 0
    optimizer: dict[str, Any] | None = None

    @classmethod
    def load(cls, path: Path, model: nn.Module) -> _State:
        saved = torch.load(path, weights_only=True)
        model.load_state_dict(saved.pop("model"))
        return cls(**saved)

    def save(self, path: Path, model: nn.Module) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        torch.save({**vars(self), "model": model.state_dict()}, partial)
        os.replace(partial, path)


def _optimise(
    model: LlavaForConditionalGeneration,
    batches: Batches,
    training: Training,
    phase: Phase,
    done: _State,
    state: Path | None,
    report: Callable[[str], None],
) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=training.decay, fused=True)
    if done.optimizer is not None:
        optimizer.load_state_dict(done.optimizer)
    neurons = _NeuronSize(model)
    started = time.perf_counter()
    for step in range(phase.steps):
        batch = batches.draw(step)
        # Drawn all the same, so that the later ones are those of a training in one go.
        if step < done.steps:
            continue
        for group in optimizer.param_groups:
            group["lr"] = _rate(step, phase)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, right = _answer_loss(model, batch)
        weight = phase.sparsity * min(1.0, step / (0.7 * phase.steps))
        (loss + weight * neurons.take()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        steps = step + 1
        if steps % _STEPS_BETWEEN_REPORTS == 0 or steps == phase.steps:
            seconds = time.perf_counter() - started
            report(f"step {steps} of {phase.steps}: loss {loss.item():.3f}, tokens {right:.1%}, {seconds:.0f} s")
        if state is not None and (steps % training.steps_between_saves == 0 or steps == phase.steps):
            _State(done.phase, steps, optimizer.state_dict()).save(state, model)
    neurons.remove()


def _rate(step: int, phase: Phase) -> float:
    warm = min(1.0, (step + 1) / _WARM_UP)
    return phase.rate * warm * 0.5 * (1 + math.cos(math.pi * step / phase.steps))


def _answer_loss(model: LlavaForConditionalGeneration, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, float]:
    """The mean cross-entropy of the answers' tokens, and the share of them that is guessed right."""
    labels = batch.pop("labels")
    hidden = model.model(**batch, use_cache=False).last_hidden_state
    learnt = labels[:, 1:] != IGNORED
    logits = model.lm_head(hidden[:, :-1][learnt]).float()
    wanted = labels[:, 1:][learnt]
    return F.cross_entropy(logits, wanted), (logits.argmax(-1) == wanted).float().mean().item()


class _NeuronSize:
    """Adds up the mean absolute activation of the language model's neurons: the down projections' inputs."""

    def __init__(self, model: LlavaForConditionalGeneration) -> None:
        self._sizes: list[torch.Tensor] = []
        self._hooks = [
            layer.mlp.down_proj.register_forward_pre_hook(
                lambda module, inputs: self._sizes.append(inputs[0].abs().mean(dtype=torch.float32))
            )
            for layer in model.model.language_model.layers
        ]

    def take(self) -> torch.Tensor:
        total = torch.stack(self._sizes).sum()
        self._sizes.clear()
        return total

    def remove(self) -> None:
        for hook in self._hooks:
            hook.remove()
