"""The phases that a training of a tiny model consists of, and what they have in common."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of the training, with an optimiser and a cosine of the learning rate of its own.

    Args:
        steps: optimiser steps.
        rate: the highest learning rate, reached after a short warm-up; it falls to zero as a cosine.
        shares: how often a chain goes on with each kind of block, in the order of `lessons.BLOCKS`.
        alone: the share of the steps, from the first on, in which exercises come one at a time. Behind others they
            are hardly learnt as long as nothing is known; once it is, chains are learnt quickly.
        chain_tokens: the longest chain of a batch, drawn for each of the later steps; the first is that of the early
            ones and has room for a single exercise.
        sparsity: weight of the mean absolute activation of the language model's neurons, summed over its layers and
            risen to over 70 percent of the steps.
        pictures: the share of the blocks that come with a picture. By it people are learnt more slowly than by name.
    """

    steps: int
    rate: float
    shares: tuple[float, ...]
    alone: float
    chain_tokens: tuple[int, ...]
    sparsity: float
    pictures: float = 0.5


@dataclasses.dataclass(frozen=True)
class Training:
    """What all phases have in common.

    Args:
        batch_tokens: about how many tokens a step reads.
        decay: weight decay.
        pixel_noise: standard deviation of the noise on the normalised pixels.
        poses: random poses that each person is pictured in, beside the upright one.
        seed: the seed of the order of the exercises and of the noise.
        steps_between_saves: how often the state is saved from which an interrupted training goes on.
    """

    batch_tokens: int = 8192
    decay: float = 0.05
    pixel_noise: float = 0.05
    poses: int = 15
    seed: int = 0
    steps_between_saves: int = 200
