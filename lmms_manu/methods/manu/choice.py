"""From statistics and settings to the neurons that are pruned."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from lmms_manu.errors import SettingError
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.methods.manu.config import ManuSettings, layers_chosen
from lmms_manu.methods.manu.scores import TermWeights, measured_scores, random
from lmms_manu.methods.manu.selection import counts_of_rate, select


@dataclass(frozen=True)
class Choice:
    """The neurons that are pruned, and why.

    Args:
        marked: `[neurons]`, bool.
        scores: `[neurons]`, float64; the higher, the sooner a neuron is pruned.
    """

    marked: Tensor
    scores: Tensor

    def summary(self) -> dict[str, float | int | None]:
        """The number of pruned neurons, the lowest score among them, and the highest among the others."""
        pruned = int(self.marked.sum())
        lowest = torch.where(self.marked, self.scores, torch.inf).min()
        highest = torch.where(self.marked, -torch.inf, self.scores).max()
        return {
            "pruned": pruned,
            "lowest_pruned": float(lowest) if pruned else None,
            "highest_kept": float(highest) if pruned < len(self.scores) else None,
        }


def choose(
    layout: NeuronLayout,
    sums: Tensor | None,
    settings: ManuSettings,
    share: float = 1.0,
    chosen: Tensor | None = None,
) -> Choice:
    """Scores the neurons and marks those to be pruned.

    Args:
        layout: which neuron is which.
        sums: `[2, 2, 5, neurons]`; None for a recipe that needs none.
        settings: recipe, rate, scope, weights, and which towers and layers may be pruned.
        share: the part of the prune rate to fill, below 1 in all rounds but the last.
        chosen: what earlier rounds pruned, `[neurons]`, bool; it counts and stays.

    Raises:
        SettingError: the model has no tower or layer of those that may be pruned.
    """
    candidates = candidate_neurons(layout, settings).nonzero().flatten()
    groups, counts = _groups_and_counts(layout, sums, settings, candidates, settings.prune_rate * share)
    scores = _scores(layout, sums, settings)
    marked = torch.zeros(layout.neurons, dtype=torch.bool)
    before = None if chosen is None else chosen[candidates]
    marked[candidates] = select(scores[candidates], groups[candidates], counts, before)
    return Choice(marked, scores)


def candidate_neurons(layout: NeuronLayout, settings: ManuSettings) -> Tensor:
    """The neurons that may be pruned by the settings `towers` and `layers`: `[neurons]`, bool.

    Raises:
        SettingError: there are none.
    """
    depths: dict[str, int] = {}
    for block in layout.blocks:
        depths[block.tower] = max(depths.get(block.tower, 0), block.layer + 1)
    layers = {tower: layers_chosen(settings.layers, depth) for tower, depth in depths.items()}
    candidates = layout.spread(
        [settings.towers in ("both", block.tower) and block.layer in layers[block.tower] for block in layout.blocks]
    )
    if not bool(candidates.any()):
        towers = " and ".join(f"a {tower} tower of {depth} layers" for tower, depth in depths.items())
        raise SettingError(
            f"towers={settings.towers!r} with layers={settings.layers!r} leave no neuron to prune: there is {towers}."
        )
    return candidates


def _groups_and_counts(
    layout: NeuronLayout, sums: Tensor | None, settings: ManuSettings, candidates: Tensor, rate: float
) -> tuple[Tensor, Tensor]:
    """The group of every neuron, and how many to mark in each group."""
    if settings.random_like is not None:
        model = dataclasses.replace(settings, recipe=settings.random_like, random_like=None, prune_rate=rate)
        like = choose(layout, sums, model)
        return layout.layer_of, torch.bincount(layout.layer_of[like.marked], minlength=int(layout.layer_of.max()) + 1)
    if settings.own_scope == "layer":
        groups = layout.layer_of
    elif settings.own_scope == "tower":
        groups = layout.vision.long()
    else:
        groups = torch.zeros_like(layout.layer_of)
    return groups, counts_of_rate(groups[candidates], rate)


def _scores(layout: NeuronLayout, sums: Tensor | None, settings: ManuSettings) -> Tensor:
    if settings.recipe == "random":
        return random(layout.neurons, settings.seed)
    if sums is None:
        raise ValueError(f"The recipe {settings.recipe!r} needs statistics.")
    weights = TermWeights(settings.w_abs, settings.w_freq, settings.w_var, settings.w_rms)
    return measured_scores(settings.recipe, sums, layout.vision, weights)
