"""The MLP blocks of an image-text-to-text model: where its neurons are."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from torch import nn

from lmms_manu.errors import ModelError, SettingError
from lmms_manu.models.named_blocks import candidates_of_patterns
from lmms_manu.models.patterns import parse_patterns
from lmms_manu.models.projections import Candidate, Slot, named_candidates, shaped_candidates
from lmms_manu.models.tower_names import LANGUAGE, TOWERS, VISION
from lmms_manu.models.towers import Layer, TowerMap

__all__ = ["LANGUAGE", "TOWERS", "VISION", "MlpBlock", "Slot", "find_mlp_blocks"]


@dataclasses.dataclass(frozen=True)
class MlpBlock:
    """One MLP block, or the stacked experts of one layer.

    Args:
        name: the name of the module that holds the projections, unique within the model.
        tower: "language" or "vision".
        layer: the number of its transformer layer in the tower; the layers of a second stack (a decoder behind an
            encoder, say) go on counting.
        neurons: the number of intermediate units; with stacked experts those of all experts, expert by expert.
        kind: "gated" or "plain".
        down: the name of the module whose input are the activations, or of the experts' module.
        slots: where the neurons lie in the weights, the down projection's last.
        experts: the number of stacked experts, 0 for a dense block.
        coupled: whether the neurons see each other between activation and down projection (through a norm, say).
            Their activations can then be forced to zero only through the down projection, and `slots` holds no other.
        scope: where tokens are routed to experts, the module whose input are all tokens; empty for other blocks.
    """

    name: str
    tower: str
    layer: int
    neurons: int
    kind: str
    down: str
    slots: tuple[Slot, ...]
    experts: int = 0
    coupled: bool = False
    scope: str = ""

    @property
    def routed(self) -> bool:
        """Whether the block sees only the tokens that were routed to it."""
        return bool(self.scope)

    @property
    def neurons_per_expert(self) -> int:
        return self.neurons // max(self.experts, 1)


def find_mlp_blocks(model: nn.Module, patterns: str | None = None) -> tuple[MlpBlock, ...]:
    """The MLP blocks of both towers of `model`, by its module tree.

    Projectors, mergers and audio encoders belong to neither tower; vision layers behind the last one that the model
    reads are left out. Weights are not touched, so the model may be on the meta device.

    Args:
        model: an image-text-to-text model of transformers, or one built like it.
        patterns: blocks named by hand for towers that are not recognised (see `lmms_manu.models.patterns`); they take
            the place of what would be found in the towers that they name.

    Returns:
        The blocks of the language tower, then those of the vision tower, each by depth.

    Raises:
        ModelError: no block is found in the language tower, or a vision tower has blocks that are not recognised.
        SettingError: `patterns` cannot be read, or two of them name the same block.
    """
    chosen = candidates_of_patterns(model, parse_patterns(patterns)) if patterns else {}
    automatic = list(named_candidates(model))
    towers = TowerMap(model, [*automatic, *(candidate for tower in chosen.values() for candidate in tower)])
    blocks: list[MlpBlock] = []
    for tower in TOWERS:
        if tower in chosen:
            placed = [(towers.layer_of(candidate.holder), candidate) for candidate in chosen[tower]]
        else:
            placed = [
                (layer, candidate)
                for candidate in automatic
                if towers.tower_of(candidate.holder, candidate.width) == tower
                and (layer := towers.layer_of(candidate.holder)) is not None
                and (tower == LANGUAGE or layer.index < towers.layers_read(layer))
            ]
        numbered = _number_layers(placed)
        holders = {candidate.holder for _, candidate, _ in numbered}
        blocks.extend(
            _block(tower, number, candidate, _routing_scope(model, candidate, layer, holders))
            for number, candidate, layer in numbered
        )
        if not numbered:
            _refuse_unrecognised(model, towers, tower)
    _refuse_repeated(blocks, patterns)
    return _with_unique_names(blocks)


def _number_layers(placed: list[tuple[Layer | None, Candidate]]) -> list[tuple[int, Candidate, Layer | None]]:
    """Numbers layers through the stacks of a tower: a stack's layers follow those of the stack before it."""
    offsets: dict[str, int] = {}
    following = 0
    for layer, _ in placed:
        if layer is not None and layer.stack not in offsets:
            offsets[layer.stack] = following
            following += layer.depth
    numbered = [
        (offsets[layer.stack] + layer.index if layer is not None else 0, candidate, layer)
        for layer, candidate in placed
    ]
    return sorted(numbered, key=lambda entry: entry[0])


def _block(tower: str, number: int, candidate: Candidate, scope: str) -> MlpBlock:
    return MlpBlock(
        name=candidate.holder,
        tower=tower,
        layer=number,
        neurons=candidate.neurons,
        kind="gated" if candidate.gated else "plain",
        down=candidate.down,
        slots=candidate.slots[-1:] if candidate.coupled else candidate.slots,
        experts=candidate.experts,
        coupled=candidate.coupled,
        scope=scope,
    )


def _routing_scope(model: nn.Module, candidate: Candidate, layer: Layer | None, holders: Collection[str]) -> str:
    """The module in which tokens are routed to this block, or nothing if it sees all of them.

    Experts are stacked in one tensor, or are modules of the same kind in a list within the layer.
    """
    if layer is None:
        return ""
    element = f"{layer.stack}.{layer.index}"
    inside = candidate.holder.removeprefix(element).removeprefix(".").split(".")
    if not candidate.experts and not _is_listed(element, inside, holders):
        return ""
    # A list has no forward pass of its own in which tokens could be followed.
    child = f"{element}.{inside[0]}"
    return element if isinstance(model.get_submodule(child), nn.ModuleList) else child


def _is_listed(element: str, inside: list[str], holders: Collection[str]) -> bool:
    """Whether the holder at `inside` of the layer `element` is one of several alike in a list."""
    for position, part in enumerate(inside):
        if part.isdigit():
            before, after = [element, *inside[:position]], inside[position + 1 :]
            if any(".".join([*before, str(other), *after]) in holders for other in range(int(part))):
                return True
            if ".".join([*before, str(int(part) + 1), *after]) in holders:
                return True
    return False


def _with_unique_names(blocks: list[MlpBlock]) -> tuple[MlpBlock, ...]:
    """Names two blocks of one holder by their down projections instead."""
    names = [block.name for block in blocks]
    return tuple(
        dataclasses.replace(block, name=block.down) if names.count(block.name) > 1 else block for block in blocks
    )


def _refuse_repeated(blocks: list[MlpBlock], patterns: str | None) -> None:
    """Raises where two patterns name the same projections, whose neurons would count twice."""
    downs = [block.down for block in blocks]
    if repeated := sorted({down for down in downs if downs.count(down) > 1}):
        raise SettingError(
            f"mlp_blocks={patterns!r} names {repeated[0]} twice: write patterns of which each block matches one."
        )


def _refuse_unrecognised(model: nn.Module, towers: TowerMap, tower: str) -> None:
    """Raises unless `tower` may well have no MLP blocks (a vision tower with none that even looks like one)."""
    shaped = list(shaped_candidates(model))
    within = [
        (holder, ups, down)
        for holder, ups, down, width in shaped
        if towers.layer_of(holder) is not None and towers.tower_of(holder, width) == tower
    ]
    if tower == VISION and not within:
        return
    shown = within or [entry[:3] for entry in shaped]
    lines = [f"  {tower}:{holder}:{'+'.join(ups)}:{down}" for holder, ups, down in shown[:12]]
    listed = "\n".join(lines) if lines else "  (no module holds two or three projections that fit together)"
    more = f"\n  ... and {len(shown) - 12} more" if len(shown) > 12 else ""
    is_quantised = getattr(getattr(model, "config", None), "quantization_config", None) is not None
    hint = " Its weights are quantised, which may hide them." if is_quantised else ""
    raise ModelError(
        f"No MLP block was recognised in the {tower} tower of {type(model).__name__}.{hint} Modules that could be one, "
        f"each written as a pattern:\n{listed}{more}\n"
        f"Name the blocks by hand with mlp_blocks=, where * stands for any part of a name and ; separates patterns, "
        f"for example mlp_blocks={_example(tower, shown)}"
    )


def _example(tower: str, shown: list[tuple[str, tuple[str, ...], str]]) -> str:
    if not shown:
        return f"{tower}:model.layers.*.mlp:gate_proj+up_proj:down_proj"
    holder, ups, down = shown[0]
    generic = ".".join("*" if part.isdigit() else part for part in holder.split("."))
    return f"{tower}:{generic}:{'+'.join(ups)}:{down}"
