"""Chains of exercises as the tensors that a step of the training reads."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LlavaProcessor

from lmms_manu.benchmarks.mllmu.prompts import IMAGE
from lmms_manu.benchmarks.mllmu.synthetic.curriculum import Curriculum, Exercise
from lmms_manu.benchmarks.mllmu.synthetic.drawing import UPRIGHT, draw, draw_pose
from lmms_manu.benchmarks.mllmu.synthetic.phases import Phase, Training
from lmms_manu.benchmarks.mllmu.synthetic.population import Person
from lmms_manu.benchmarks.mllmu.synthetic.random_stream import RandomStream

IGNORED = -100
"""The label of a token that is not to be learnt."""


class Batches:
    """Draws the batches of a phase, one for each step, in order.

    Args:
        lessons: draws the chains.
        processor: the model's.
        people: whom the lessons are about.
        phase: the phase.
        training: what the phases have in common.
        number: the phase's number, so that each draws batches of its own.
    """

    def __init__(
        self,
        lessons: Curriculum,
        processor: LlavaProcessor,
        people: Sequence[Person],
        phase: Phase,
        training: Training,
        number: int,
    ) -> None:
        self._lessons, self._processor, self._phase, self._training = lessons, processor, phase, training
        picture = processor.image_processor.size["shortest_edge"]
        self._marker = IMAGE * (picture // processor.patch_size) ** 2
        self._draws = RandomStream(training.seed, "poses of batches", number)
        self._noise = torch.Generator().manual_seed(1000 * training.seed + number)
        self._pixels = {person.id: self._pictures(person, picture) for person in people}
        self._tokens: dict[tuple[str, str], tuple[list[int], list[int]]] = {}

    def draw(self, step: int) -> dict[str, torch.Tensor]:
        """The batch of a step.

        Returns:
            `input_ids`, `attention_mask` and `labels` [chains, tokens], `pixel_values` [pictures, 3, size, size];
            without these where no chain of the batch shows a picture.
        """
        budget = self._chain_tokens(step)
        shares, pictures = self._phase.shares, self._phase.pictures
        chains = [
            self._lessons.chain(shares, pictures, budget, lambda exercise: sum(map(len, self._encoded(exercise))))
            for _ in range(self._training.batch_tokens // budget)
        ]
        rows = [self._row(chain) for chain in chains]
        longest = max(len(tokens) for tokens, _ in rows)
        pad = self._processor.tokenizer.pad_token_id
        padded = {
            "input_ids": [tokens + [pad] * (longest - len(tokens)) for tokens, _ in rows],
            "attention_mask": [[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens, _ in rows],
            "labels": [labels + [IGNORED] * (longest - len(labels)) for _, labels in rows],
        }
        batch = {name: torch.tensor(values) for name, values in padded.items()}
        pictured = [each.person.id for chain in chains for each in chain if IMAGE in each.prompt]
        return {**batch, "pixel_values": self._noisy(pictured)} if pictured else batch

    def _chain_tokens(self, step: int) -> int:
        phase = self._phase
        return phase.chain_tokens[0] if step < phase.alone * phase.steps else self._draws.one(phase.chain_tokens)

    def _row(self, chain: Sequence[Exercise]) -> tuple[list[int], list[int]]:
        tokens: list[int] = []
        labels: list[int] = []
        for exercise in chain:
            prompt, answer = self._encoded(exercise)
            tokens += prompt + answer
            labels += [IGNORED] * len(prompt) + answer
        return tokens, labels

    def _encoded(self, exercise: Exercise) -> tuple[list[int], list[int]]:
        key = (exercise.prompt, exercise.answer)
        if key not in self._tokens:
            tokenizer = self._processor.tokenizer
            prompt = exercise.prompt.replace(IMAGE, self._marker)
            self._tokens[key] = (tokenizer(prompt).input_ids, tokenizer(exercise.answer).input_ids)
        return self._tokens[key]

    def _noisy(self, pictured: Sequence[str]) -> torch.Tensor:
        pixels = torch.stack([self._draws.one(self._pixels[person]) for person in pictured])
        noise = torch.randn(pixels.shape, generator=self._noise)
        return pixels + self._training.pixel_noise * noise

    def _pictures(self, person: Person, size: int) -> list[torch.Tensor]:
        """The upright picture and others in random poses, none of which the dataset holds."""
        draws = RandomStream(self._training.seed, "training poses", person.id)
        poses = [UPRIGHT, *(draw_pose(draws) for _ in range(self._training.poses))]
        drawn = [draw(person, pose, size) for pose in poses]
        pixels = self._processor.image_processor(drawn, return_tensors="pt")
        return list(pixels["pixel_values"])
