"""Training of the tiny model on a population."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from lmms_manu.mllmu.prompts import IMAGE
from lmms_manu.synthetic.drawing import UPRIGHT, draw, draw_pose
from lmms_manu.synthetic.draws import Draws
from lmms_manu.synthetic.lessons import Exercise, Lessons
from lmms_manu.synthetic.people import Person, Population
from lmms_manu.synthetic.subject import END_TOKEN, SubjectSize, build_model, build_processor

_IGNORED = -100
_WARM_UP = 50


@dataclass(frozen=True)
class Term:
    """A part of the training, with an optimiser and a cosine of the learning rate of its own.

    Args:
        steps: optimiser steps.
        rate: the highest learning rate, reached after `_WARM_UP` steps; it falls to zero as a cosine.
        shares: how often a chain goes on with each kind of block, in the order of `lessons.BLOCKS`.
        alone: the share of the steps, from the first on, in which exercises come one at a time. Behind others they
            are hardly learnt as long as nothing is known; once it is, chains are learnt quickly.
        chain_tokens: the longest chain of a batch, drawn for each of the later steps; the first is that of the early
            ones and has room for a single exercise.
        sparsity: weight of the mean absolute activation of the language model's neurons, summed over its layers and
            risen to over 70 percent of the steps.
    """

    steps: int
    rate: float
    shares: tuple[float, ...]
    alone: float
    chain_tokens: tuple[int, ...]
    sparsity: float


LEARNING = Term(1600, 5e-3, (0.22, 0.18, 0.14, 0.12, 0.18, 0.16), 0.45, (60, 120, 240, 400), 1e-3)
EXAM_PRACTICE = Term(900, 3e-3, (0.40, 0.25, 0.11, 0.08, 0.08, 0.08), 0.0, (60, 300, 420), 1e-2)


@dataclass(frozen=True)
class Training:
    """How the tiny model is trained.

    Args:
        terms: one after the other.
        batch_tokens: about how many tokens a step reads.
        decay: weight decay.
        pixel_noise: standard deviation of the noise on the normalised pixels.
        poses: random poses that each person is pictured in, beside the upright one.
        seed: the seed of the weights, the order of the exercises, and the noise.
    """

    terms: tuple[Term, ...] = (LEARNING, EXAM_PRACTICE)
    batch_tokens: int = 8192
    decay: float = 0.05
    pixel_noise: float = 0.05
    poses: int = 15
    seed: int = 0


def train(
    population: Population,
    seed: int,
    size: SubjectSize,
    training: Training,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """Trains a model on everything that the dataset of `population` asks, but for the Test set.

    Args:
        population: the people.
        seed: the seed that their dataset is made by.
        size: the model's sizes.
        training: how it is trained.
        report: is given a line on the progress now and then.

    Returns:
        The model in float32 and evaluation mode, and its processor.
    """
    lessons = Lessons(population, seed, END_TOKEN, Draws(training.seed, "lessons"))
    processor = build_processor(lessons.texts(), size)
    model = build_model(processor, size, training.seed)
    batches = _Batches(lessons, processor, population, size, training)
    model.train()
    for number, term in enumerate(training.terms, start=1):
        report(f"term {number} of {len(training.terms)}")
        _optimise(model, batches, training, term, report)
    return model.eval(), processor


def _optimise(
    model: LlavaForConditionalGeneration,
    batches: _Batches,
    training: Training,
    term: Term,
    report: Callable[[str], None],
) -> None:
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=term.rate, betas=(0.9, 0.98), weight_decay=training.decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, term))
    neurons = _NeuronSize(model)
    started = time.perf_counter()
    for step in range(term.steps):
        batch = batches.draw(term, step)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss, right = _answer_loss(model, batch)
        weight = term.sparsity * min(1.0, step / (0.7 * term.steps))
        (loss + weight * neurons.take()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        if step % 50 == 49 or step == term.steps - 1:
            seconds = time.perf_counter() - started
            report(f"step {step + 1} of {term.steps}: loss {loss.item():.3f}, tokens {right:.1%}, {seconds:.0f} s")
    neurons.remove()


def _rate(step: int, term: Term) -> float:
    warm = min(1.0, (step + 1) / _WARM_UP)
    return warm * 0.5 * (1 + math.cos(math.pi * step / term.steps))


def _answer_loss(model: LlavaForConditionalGeneration, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, float]:
    """The mean cross-entropy of the answers' tokens, and the share of them that is guessed right."""
    labels = batch.pop("labels")
    hidden = model.model(**batch, use_cache=False).last_hidden_state
    learnt = labels[:, 1:] != _IGNORED
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


class _Batches:
    """Chains of exercises as tensors."""

    def __init__(
        self,
        lessons: Lessons,
        processor: LlavaProcessor,
        population: Population,
        size: SubjectSize,
        training: Training,
    ) -> None:
        self._lessons, self._processor, self._training = lessons, processor, training
        self._marker = IMAGE * (size.picture // size.patch) ** 2
        self._draws = Draws(training.seed, "poses of batches")
        self._noise = torch.Generator().manual_seed(training.seed)
        everyone = (*population.people, *population.celebrities)
        self._pixels = {person.id: self._pictures(person, size.picture) for person in everyone}
        self._tokens: dict[tuple[str, str], tuple[list[int], list[int]]] = {}

    def draw(self, term: Term, step: int) -> dict[str, torch.Tensor]:
        """The batch of a step of a term.

        Returns:
            `input_ids`, `attention_mask` and `labels` [chains, tokens], `pixel_values` [pictures, 3, size, size].
        """
        budget = self._chain_tokens(term, step)
        chains = [
            self._lessons.chain(term.shares, budget, lambda exercise: sum(map(len, self._encoded(exercise))))
            for _ in range(self._training.batch_tokens // budget)
        ]
        rows = [self._row(chain) for chain in chains]
        longest = max(len(tokens) for tokens, _ in rows)
        pad = self._processor.tokenizer.pad_token_id
        padded = {
            "input_ids": [tokens + [pad] * (longest - len(tokens)) for tokens, _ in rows],
            "attention_mask": [[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens, _ in rows],
            "labels": [labels + [_IGNORED] * (longest - len(labels)) for _, labels in rows],
        }
        batch = {name: torch.tensor(values) for name, values in padded.items()}
        return {**batch, "pixel_values": self._noisy([exercise for chain in chains for exercise in chain])}

    def _chain_tokens(self, term: Term, step: int) -> int:
        return term.chain_tokens[0] if step < term.alone * term.steps else self._draws.one(term.chain_tokens)

    def _row(self, chain: Sequence[Exercise]) -> tuple[list[int], list[int]]:
        tokens: list[int] = []
        labels: list[int] = []
        for exercise in chain:
            prompt, answer = self._encoded(exercise)
            tokens += prompt + answer
            labels += [_IGNORED] * len(prompt) + answer
        return tokens, labels

    def _encoded(self, exercise: Exercise) -> tuple[list[int], list[int]]:
        key = (exercise.prompt, exercise.answer)
        if key not in self._tokens:
            tokenizer = self._processor.tokenizer
            prompt = exercise.prompt.replace(IMAGE, self._marker)
            self._tokens[key] = (tokenizer(prompt).input_ids, tokenizer(exercise.answer).input_ids)
        return self._tokens[key]

    def _noisy(self, exercises: Sequence[Exercise]) -> torch.Tensor:
        pictured = [exercise.person.id for exercise in exercises if IMAGE in exercise.prompt]
        pixels = torch.stack([self._draws.one(self._pixels[person]) for person in pictured])
        noise = torch.randn(pixels.shape, generator=self._noise)
        return pixels + self._training.pixel_noise * noise

    def _pictures(self, person: Person, size: int) -> list[torch.Tensor]:
        """The upright picture and others in random poses, none of which the dataset holds."""
        draws = Draws(self._training.seed, "training poses", person.id)
        poses = [UPRIGHT, *(draw_pose(draws) for _ in range(self._training.poses))]
        drawn = [draw(person, pose, size) for pose in poses]
        pixels = self._processor.image_processor(drawn, return_tensors="pt")
        return list(pixels["pixel_values"])
