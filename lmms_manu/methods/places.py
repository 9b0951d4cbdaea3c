"""Where in a model a method may edit: the settings `towers` and `layers`, whatever the method. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, Protocol

from lmms_manu.errors import SettingError, one_of

Towers = Literal["both", "language", "vision"]

_LAYER_RANGE = re.compile(r"(\d+)(?:-(\d+))?")
_LAST_LAYERS = re.compile(r"last[: _]?(\d+)")


def layers_chosen(text: str, depth: int) -> frozenset[int]:
    """The layers that a setting such as `all`, `last4` or `0-3+8` means in a tower of `depth` layers.

    Raises:
        SettingError: the text has another form.
    """
    chosen = text.strip().lower()
    if chosen == "all":
        return frozenset(range(depth))
    if last := _LAST_LAYERS.fullmatch(chosen):
        return frozenset(range(max(0, depth - int(last[1])), depth))
    layers: set[int] = set()
    for part in chosen.split("+"):
        found = _LAYER_RANGE.fullmatch(part.strip())
        if not found or (found[2] and int(found[2]) < int(found[1])):
            raise one_of("layers", text, ("all", "last4 (the last four)", "0-3+8 (these four and the ninth)"))
        layers.update(range(int(found[1]), int(found[2] or found[1]) + 1))
    return frozenset(layers)


class Placed(Protocol):
    """What has to be known of a block."""

    @property
    def tower(self) -> str: ...
    @property
    def layer(self) -> int: ...


def places_chosen(blocks: Sequence[Placed], towers: str, layers: str) -> list[int]:
    """The positions of the blocks that the settings `towers` and `layers` mean.

    Raises:
        SettingError: there are none, or a layer is asked for that no tower has.
    """
    depths: dict[str, int] = {}
    for block in blocks:
        depths[block.tower] = max(depths.get(block.tower, 0), block.layer + 1)
    within = {tower: layers_chosen(layers, depth) for tower, depth in depths.items()}
    found = [
        number
        for number, block in enumerate(blocks)
        if towers in ("both", block.tower) and block.layer in within[block.tower]
    ]
    told = " and ".join(f"a {tower} tower of {depth} layers" for tower, depth in depths.items())
    if not found:
        raise SettingError(f"towers={towers!r} with layers={layers!r} leave no neuron to edit: there is {told}.")
    deepest = max(depth for tower, depth in depths.items() if towers in ("both", tower))
    if beyond := layers_chosen(layers, deepest) - set(range(deepest)):
        raise SettingError(
            f"layers={layers!r}: with towers={towers!r} there is no layer {min(beyond)}, but {told}, counted from 0."
        )
    return found
