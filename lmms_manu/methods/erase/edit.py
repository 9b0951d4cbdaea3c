"""The edit: second moments of a few layers at a time, and the closed form in each block.

edit
    the blocks that are chosen
    for each group of blocks whose moments fit into memory
        measure them on both sets in each modality (or read those of an earlier measurement)
        for each block: balance the modalities, solve, check (in the first process; the others are given the result)
    ChangedTensors
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterable

import torch
from torch import Tensor

from lmms_manu.editing.changes import ChangedTensors
from lmms_manu.editing.columns import down_columns, down_projections
from lmms_manu.editing.weights import read_weight
from lmms_manu.errors import ModelError, SettingError
from lmms_manu.measuring.pairs import SecondMoments, measure_second_moments
from lmms_manu.measuring.parts import Parts, parts_with_examples
from lmms_manu.measuring.processes import Processes
from lmms_manu.methods.base import Edit
from lmms_manu.methods.control import retained_people_as_forgotten
from lmms_manu.methods.erase.config import EraseSettings
from lmms_manu.methods.erase.erasure import Erasure, Moments, SingularError, balanced, erasure
from lmms_manu.methods.places import places_chosen
from lmms_manu.models.blocks import MlpBlock
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.tower_names import TOWERS, VISION

_GIB = 1024**3


def chosen_blocks(checkpoint: Checkpoint, settings: EraseSettings) -> tuple[MlpBlock, ...]:
    """The blocks that the settings mean, each with its down projection's weights alone.

    Raises:
        ModelError: they cannot be edited.
        SettingError: there are none.
    """
    blocks = down_projections(checkpoint)
    return tuple(blocks[number] for number in places_chosen(blocks, settings.towers, settings.layers))


def edit(checkpoint: Checkpoint, examples: Parts, settings: EraseSettings) -> Edit:
    """Finds the new down projections; arguments and errors as in `Method.edit`."""
    blocks = chosen_blocks(checkpoint, settings)
    parts = parts_with_examples(examples)
    if settings.towers == VISION and all(part.modality == "text" for part in parts):
        raise SettingError("towers=vision: without pictures the vision tower never runs. Use towers=language.")
    if settings.random_control:
        examples = retained_people_as_forgotten(examples, settings.seed)
    started = time.perf_counter()
    measured = measure_second_moments(checkpoint, blocks, examples, settings, budget=int(settings.memory_gib * _GIB))
    # By map, which holds no moments while those of the next blocks are measured.
    found = list(map(functools.partial(_solved, checkpoint, settings), measured))
    solving = sum(one.seconds for one in found)
    tensors = {one.block.slots[0].parameter: one.weight for one in found if one.weight is not None}
    return Edit(
        ChangedTensors(tensors) if tensors else None,
        counts=_counts(found),
        unit="down projections",
        seconds={"measuring": time.perf_counter() - started - solving, "solving": solving},
        details={
            "blocks": [{"block": one.block.name, **one.about} for one in found if one.weight is not None],
            "unseen": [one.block.name for one in found if one.weight is None],
        },
    )


@dataclasses.dataclass(frozen=True)
class _Solved:
    """What became of a block.

    Args:
        block: the block.
        weight: the new one of its down projection; None where the block stays as it is.
        about: what is worth recording of the solutions.
        seconds: what they took.
    """

    block: MlpBlock
    weight: Tensor | None
    about: dict[str, float]
    seconds: float


def _solved(checkpoint: Checkpoint, settings: EraseSettings, moments: SecondMoments) -> _Solved:
    began = time.perf_counter()
    forget, retain = (_of_set(moments, group) for group in ("forget", "retain"))
    weight: Tensor | None = None
    about: dict[str, float] = {}
    # The vision tower without pictures, or experts that one of the sets is never routed to, stay as they are.
    if forget is not None and retain is not None:
        weight, about = _shared(checkpoint, moments.block, forget, retain, settings)
    return _Solved(moments.block, weight, about, time.perf_counter() - began)


def _of_set(moments: SecondMoments, group: str) -> Moments | None:
    """What the block's neurons do on a set, the modalities in which it runs balanced."""
    own = [Moments(moments.parts[part], moments.means[part]) for part in moments.parts if part.set == group]
    return balanced(own) if own else None


def _shared(
    checkpoint: Checkpoint, block: MlpBlock, forget: Moments, retain: Moments, settings: EraseSettings
) -> tuple[Tensor, dict[str, float]]:
    """The new weight, as the first process finds it: devices of two kinds may round in two ways."""
    processes = Processes.current()
    weight = read_weight(checkpoint.model, block.slots[0].parameter).to("cpu", copy=True).contiguous()
    about: dict[str, float] = {}
    failure: Exception | None = None
    if processes.first:
        try:
            about = _solve(weight, block, forget, retain, settings, checkpoint.device)
        except ModelError as error:
            failure = error
    processes.raise_everywhere(failure)
    processes.share(weight.view(torch.uint8), 0)
    return weight, processes.from_first(about)


def _solve(
    weight: Tensor, block: MlpBlock, forget: Moments, retain: Moments, settings: EraseSettings, device: torch.device
) -> dict[str, float]:
    """Changes the weight in place; returns what is worth recording of the solutions."""
    # Metal has no float64.
    place = torch.device("cpu") if device.type == "mps" else device
    penalty = settings.ridge * float(retain.second.diagonal().mean())
    columns = down_columns(weight, block)
    found: list[Erasure] = []
    size, moved = 0.0, 0.0
    for number, own in enumerate(columns):
        inside = slice(number * block.neurons_per_expert, (number + 1) * block.neurons_per_expert)
        if not forget.second[inside, inside].any():
            continue
        before = own.to(place, torch.float64)
        own_forget, own_retain = (
            Moments(one.second[inside, inside].to(place), one.mean[inside].to(place)) for one in (forget, retain)
        )
        try:
            solved = erasure(
                before,
                own_forget,
                own_retain,
                settings.keep,
                penalty,
                to_mean=settings.target == "retain_mean",
                directions=settings.directions,
            )
        except SingularError as error:
            raise ModelError(
                f"The system that says what {block.name} is to forget cannot be solved ({error}): there are too few "
                f"observations for its {block.neurons_per_expert} neurons. Use a larger ridge than "
                f"{settings.ridge:g}, more samples, or tokens=all."
            ) from error
        own.copy_(before + solved.change)
        found.append(solved)
        size += float(before.square().sum())
        moved += float(solved.change.square().sum())
    return {
        "residual": max((one.residual for one in found), default=0.0),
        "condition": max((one.condition for one in found), default=1.0),
        "changed": (moved / size) ** 0.5 if size else 0.0,
    }


def _counts(found: Iterable[_Solved]) -> dict[str, tuple[int, int]]:
    towers: dict[str, list[bool]] = {tower: [] for tower in TOWERS}
    for one in found:
        towers[one.block.tower].append(one.weight is not None)
    return {tower: (sum(own), len(own)) for tower, own in towers.items() if own}
