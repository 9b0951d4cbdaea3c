"""Which samples stand in which batch: a seeded order, fixed for the whole training before it begins."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import random
from collections.abc import Iterator, Mapping, Sequence

_WINDOW = 8
"""Batches within which samples of about the same length come together."""


@dataclasses.dataclass(frozen=True)
class Turn:
    """The samples of one batch, all of one modality, by their places among the samples of their set.

    Args:
        modality: of all samples.
        learn: those to forget, or to learn.
        retain: those to retain; empty where a method asks for none.
    """

    modality: str
    learn: tuple[int, ...]
    retain: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Item:
    """What the order knows of a sample.

    Args:
        name: tells it from all others of its set and modality.
        length: in tokens.
    """

    name: str
    length: int


def order(
    learn: Mapping[str, Sequence[Item]],
    retain: Mapping[str, Sequence[Item]],
    *,
    batch_size: int,
    epochs: float,
    seed: int,
) -> list[Turn]:
    """The batches of a training.

    An epoch shows each sample of `learn` once; beside them stand as many of `retain`, which is gone through again and
    again.

    Args:
        learn: the samples to learn from, by modality.
        retain: the samples beside them, by modality; an empty mapping for none.
        batch_size: samples of each set in a batch.
        epochs: passes over `learn`; a fraction is a part of the last one.
        seed: of the order.
    """
    beside = {modality: _cycle(items, f"{seed} retain {modality}") for modality, items in retain.items()}
    turns: list[Turn] = []
    for epoch in range(math.ceil(epochs)):
        whole = [turn for modality, items in learn.items() for turn in _epoch(modality, items, batch_size, seed, epoch)]
        random.Random(f"{seed} {epoch}").shuffle(whole)
        share = min(1.0, epochs - epoch)
        turns += whole[: math.ceil(share * len(whole))]
    return [
        Turn(turn.modality, turn.learn, tuple(next(beside[turn.modality]) for _ in turn.learn)) if beside else turn
        for turn in turns
    ]


def number_of_turns(samples: Mapping[str, int], *, batch_size: int, epochs: float) -> int:
    """How many batches `order` makes of so many samples to learn from, by modality."""
    whole = sum(math.ceil(number / batch_size) for number in samples.values())
    return sum(math.ceil(min(1.0, epochs - epoch) * whole) for epoch in range(math.ceil(epochs)))


def without(turns: Sequence[Turn], learn: Mapping[str, Sequence[Item]], names: frozenset[str]) -> list[Turn]:
    """The same batches without the samples to learn of these names, so that all others are learnt as they would be."""
    kept = [
        dataclasses.replace(
            turn, learn=tuple(place for place in turn.learn if learn[turn.modality][place].name not in names)
        )
        for turn in turns
    ]
    return [turn for turn in kept if turn.learn]


def _epoch(modality: str, items: Sequence[Item], batch_size: int, seed: int, epoch: int) -> Iterator[Turn]:
    mixed = _mixed(items, f"{seed} {epoch} {modality}")
    window = _WINDOW * batch_size
    for start in range(0, len(mixed), window):
        alike = sorted(mixed[start : start + window], key=lambda place: items[place].length)
        for first in range(0, len(alike), batch_size):
            yield Turn(modality, tuple(alike[first : first + batch_size]))


def _cycle(items: Sequence[Item], salt: str) -> Iterator[int]:
    """The places of the items, mixed anew in each round, without an end."""
    round_ = 0
    while True:
        yield from _mixed(items, f"{salt} {round_}")
        round_ += 1


def _mixed(items: Sequence[Item], salt: str) -> list[int]:
    """The places of the items in an order that goes by a hash of each name alone."""
    keys = [hashlib.sha256(f"{salt} {item.name}".encode()).digest() for item in items]
    return sorted(range(len(items)), key=lambda place: (keys[place], place))
