"""Memory and hours of an edit, by arithmetic from sizes and demands. Pure; what is assumed stands in `Assumptions`."""

from __future__ import annotations

import dataclasses
import re
from typing import Literal

from lmms_manu.costs.demands import Demands
from lmms_manu.costs.sizes import ModelSizes, TowerSizes
from lmms_manu.errors import SettingError

_FLOAT32 = 4
_LOGIT_COPIES = 4
"""Logits in float32, normalised, and the gradients of both."""

_KEPT_OF_LAYER = {
    (True, 2): (54.0, 12.5),
    (True, 4): (72.0, 20.0),
    (False, 2): (34.0, 8.0),
    (False, 4): (40.0, 16.0),
}
"""Bytes that a layer keeps of a token for its gradients, for each feature of the state and each neuron inside: by
whether adapters are trained and by the bytes of a weight. Measured on Llama layers with saved-tensor hooks."""

_PASSING = (8, 3)
"""Numbers of a token that lie in memory at the worst moment of a layer without gradients: states, and neurons."""


@dataclasses.dataclass(frozen=True)
class Assumptions:
    """What no configuration says.

    Args:
        question_tokens: tokens of question and answer together, beside a picture's.
        answer_tokens: those of the answer.
        tflops: what a card reaches in products of bfloat16, in 10¹² operations a second.
        share: of that in passes of a model.
        float64_share: what a card reaches in float64, of `tflops`.
        usable: the share of a card's memory that can be filled.
        overhead: bytes of a process on its card before anything is loaded.
    """

    question_tokens: int = 80
    answer_tokens: int = 30
    tflops: float = 312.0
    share: float = 0.35
    float64_share: float = 1 / 16
    usable: float = 0.94
    overhead: int = 10**9


@dataclasses.dataclass(frozen=True)
class Cards:
    """Cards of one kind."""

    number: int
    gigabytes: float

    @classmethod
    def of(cls, text: str) -> Cards:
        """Reads `4x80GB`.

        Raises:
            SettingError: it is nothing of that kind.
        """
        found = re.fullmatch(r"\s*(?:(\d+)\s*[x×]\s*)?(\d+(?:\.\d+)?)\s*(?:GB)?\s*", text, re.IGNORECASE)
        number = int(found[1] or 1) if found else 0
        if not found or not number or not float(found[2]):
            raise SettingError(f"cards={text!r} names no cards: write number and memory, such as 4x80GB, or 24GB.")
        return cls(number, float(found[2]))

    def __str__(self) -> str:
        return f"{self.number}x{self.gigabytes:g}GB"


Placing = Literal["one model on each card", "one model over all cards", "one model in shards", "nothing fits"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What an edit takes of cards; bytes of one copy of the model.

    Args:
        weights: of the model.
        trained: of what is trained: its values, gradients, and what the optimiser keeps.
        activations: of a batch at the worst moment.
        kept: of statistics.
        host: of what lies in the machine's memory.
        needed: on the fullest card.
        placing: how the cards are used.
        hours: of the edit, loading and evaluation apart.
        fewest: how many such cards hold it at the least; None where no number does.
    """

    weights: int
    trained: int
    activations: int
    kept: int
    host: int
    needed: int
    placing: Placing
    hours: float
    fewest: int | None


def plan_of(sizes: ModelSizes, demands: Demands, cards: Cards, assumed: Assumptions | None = None) -> Plan:
    """The plan of an edit.

    Where a copy of the model and all it needs fit on a card, each card works on a share of the samples. Otherwise
    weights and statistics are spread over the cards (`device_map`), which work one after the other; or, of a training,
    weights and what is trained lie in shards on all cards, which work at the same time. Each card then takes its part
    of every batch, and each process keeps the whole model in the machine's memory.
    """
    assumed = assumed or Assumptions()
    room = assumed.usable * cards.gigabytes * 1e9
    part = demands.trained
    trained = part.bytes if part is not None else 0
    activations = _activations(sizes, demands, assumed, cards.number)
    whole = sizes.weights + trained + activations + demands.kept + assumed.overhead
    shared, fixed = sizes.weights + trained + demands.kept, activations + assumed.overhead
    if part is not None:
        # What is not in shards is on every card, and so is a layer at work with the one behind it.
        shared, fixed = shared - demands.kept, fixed + demands.kept + _whole_layers(sizes)
    alone = whole <= room
    dividable = (part is None or part.sharded) and room > fixed
    needs = max(1, -(-shared // max(1, int(room - fixed)))) if dividable else None
    fewest = 1 if alone else needs
    placing: Placing = "one model on each card"
    needed, working, host = whole, cards.number, demands.host
    if not alone:
        placing = "nothing fits"
        if needs is not None and needs <= cards.number:
            placing = "one model over all cards" if part is None else "one model in shards"
            needed = shared // cards.number + fixed
            host += sizes.weights * cards.number if part is not None else 0
        if part is None or placing == "nothing fits":
            working = 1
    rate = assumed.tflops * 1e12
    seconds = operations_of(sizes, demands, assumed) / (rate * assumed.share * working)
    seconds += demands.solving / (rate * assumed.float64_share)
    return Plan(sizes.weights, trained, activations, demands.kept, host, needed, placing, seconds / 3600, fewest)


def operations_of(sizes: ModelSizes, demands: Demands, assumed: Assumptions) -> float:
    """The floating-point operations of all passes."""
    text = _forward(sizes.language, assumed.question_tokens)
    tokens = assumed.question_tokens + sizes.picture_tokens
    seen = _forward(sizes.vision, sizes.patches) if sizes.vision is not None else 0.0
    pictured = (_forward(sizes.language, tokens) + seen) if sizes.vision is not None else 0.0
    full = demands.trained is not None and not demands.trained.adapters
    again = demands.trained is not None and demands.trained.checkpointing
    # Back through activations, through weights where these are trained, and forwards once more.
    times = 2 + full + again
    return (
        demands.forward * (text + pictured)
        + demands.backward * ((text + pictured) * times + seen * (1 - times))
        + demands.paths * 2 * text
        + demands.pictured_paths * 2 * pictured
    )


def _forward(tower: TowerSizes, tokens: int) -> float:
    """The operations of one sample's way through a tower; attention to what comes before counts half."""
    return 2.0 * tower.multiplied * tokens + 2.0 * tower.layers * tower.width * tokens**2


def _whole_layers(sizes: ModelSizes) -> int:
    """Bytes of two layers, which are put together out of their shards while they work."""
    towers = [tower for tower in (sizes.language, sizes.vision) if tower is not None]
    return 2 * max(tower.multiplied // max(tower.layers, 1) for tower in towers) * sizes.dtype.itemsize


def _activations(sizes: ModelSizes, demands: Demands, assumed: Assumptions, cards: int) -> int:
    """Bytes of a card's batch at the worst moment: what gradients need of all layers, or what one layer holds."""
    if not demands.forward and not demands.backward and not demands.paths and not demands.pictured_paths:
        return 0
    at_once = demands.at_once_on_each(cards)
    tokens = at_once * (assumed.question_tokens + sizes.picture_tokens)
    size, tower = sizes.dtype.itemsize, sizes.language
    passing = tokens * size * (_PASSING[0] * tower.width + _PASSING[1] * tower.inside)
    if sizes.vision is not None:
        rows = at_once * sizes.patches
        passing = max(passing, rows * size * (_PASSING[0] * sizes.vision.width + _PASSING[1] * sizes.vision.inside))
    if not demands.backward and not demands.paths and not demands.pictured_paths:
        return int(passing)
    adapters = demands.trained is not None and demands.trained.adapters
    of_state, of_neuron = _KEPT_OF_LAYER[adapters, size]
    layer = tokens * (of_state * tower.width + of_neuron * tower.inside)
    logits = at_once * assumed.answer_tokens * sizes.vocabulary * (size + _LOGIT_COPIES * _FLOAT32)
    if demands.trained is not None and demands.trained.checkpointing:
        return int(layer + tower.layers * tokens * size * tower.width + logits)
    return int(max(passing, tower.layers * layer) + logits)
