"""From statistics to scores, and from scores to the neurons that are pruned."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.neuron_statistics import NeuronStatistics
from lmms_manu.methods.manu.config import ManuSettings, for_modalities
from lmms_manu.methods.manu.scores import TermWeights, measured_scores, random
from lmms_manu.methods.manu.topk import neurons_to_prune, select
from lmms_manu.methods.places import places_chosen

_Groups = dict[tuple[str | int, ...], list[int]]
"""The numbers of the blocks that share one prune rate, by what they have in common."""


@dataclasses.dataclass(frozen=True)
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


def score(statistics: NeuronStatistics, settings: ManuSettings) -> Tensor:
    """The scores of the recipe that needs statistics, `[neurons]`, float64.

    Args:
        statistics: of the neurons.
        settings: recipe (its `measured_recipe` is not None) and weights.

    Raises:
        SettingError: as `for_modalities`.
    """
    assert settings.measured_recipe is not None
    for_modalities(settings, statistics.modalities)
    weights = TermWeights(settings.w_abs, settings.w_freq, settings.w_var, settings.w_rms)
    return measured_scores(settings.measured_recipe, statistics, weights)


def choose(
    layout: NeuronLayout,
    scores: Tensor | None,
    settings: ManuSettings,
    share: float = 1.0,
    chosen: Tensor | None = None,
) -> Choice:
    """Marks the neurons to be pruned.

    Args:
        layout: which neuron is which.
        scores: what `score` gives for the same settings; None for a recipe that needs no statistics.
        settings: recipe, rate, scope, and which towers and layers may be pruned.
        share: the part of the prune rate to fill, below 1 in all rounds but the last.
        chosen: what earlier rounds pruned, `[neurons]`, bool; it counts and stays.

    Raises:
        SettingError: the model has no tower or layer of those that may be pruned.
    """
    groups = _groups(layout, settings)
    counts = _counts(layout, scores, settings, groups, share, chosen)
    if settings.recipe == "random":
        scores = random(layout.neurons, settings.seed)
    elif scores is None:
        raise ValueError(f"The recipe {settings.recipe!r} needs statistics.")
    marked = torch.zeros(layout.neurons, dtype=torch.bool) if chosen is None else chosen.clone()
    scores_of, marked_of = layout.split(scores), layout.split(marked)
    for key, members in groups.items():
        before = [marked_of[number] for number in members]
        after = select(torch.cat([scores_of[number] for number in members]), counts[key], torch.cat(before))
        for own, new in zip(before, after.split([len(own) for own in before]), strict=True):
            own.copy_(new)
    return Choice(marked, scores)


def neurons_by_layer(layout: NeuronLayout, settings: ManuSettings) -> dict[tuple[str, int], int]:
    """How many neurons each layer loses, by tower and layer, where the prune rate is taken of each.

    Raises:
        SettingError: as `choose`.
    """
    groups = _groups(layout, dataclasses.replace(settings, scope="layer"))
    sizes = {key: sum(layout.blocks[number].neurons for number in members) for key, members in groups.items()}
    return {
        (str(tower), int(layer)): neurons_to_prune(size, settings.prune_rate) for (tower, layer), size in sizes.items()
    }


def check_choice(layout: NeuronLayout, settings: ManuSettings) -> None:
    """Raises unless the settings leave neurons to choose from; to be called before anything is measured.

    Raises:
        SettingError: as `choose`.
    """
    _groups(layout, settings)


def _groups(layout: NeuronLayout, settings: ManuSettings) -> _Groups:
    """The blocks that may be pruned by the settings `towers` and `layers`, grouped by the scope.

    Raises:
        SettingError: there are none, or a layer is asked for that no tower has.
    """
    scope = "layer" if settings.random_like is not None or settings.uniform else settings.own_scope
    groups: _Groups = {}
    for number in places_chosen(layout.blocks, settings.towers, settings.layers):
        block = layout.blocks[number]
        key = {"global": (), "tower": (block.tower,), "layer": (block.tower, block.layer)}[scope]
        groups.setdefault(key, []).append(number)
    return groups


def _counts(
    layout: NeuronLayout,
    scores: Tensor | None,
    settings: ManuSettings,
    groups: _Groups,
    share: float,
    chosen: Tensor | None,
) -> dict[tuple[str | int, ...], int]:
    """How many neurons to mark in each group, what is `chosen` already included."""
    sizes = {key: sum(layout.blocks[number].neurons for number in group) for key, group in groups.items()}
    if settings.random_like is not None:
        like = dataclasses.replace(settings, recipe=settings.random_like, random_like=None)
    elif settings.uniform:
        like = dataclasses.replace(settings, uniform=False)
    else:
        return {key: neurons_to_prune(size, settings.prune_rate * share) for key, size in sizes.items()}
    marked = choose(layout, scores, like, share, chosen).marked
    taken = [int(own.sum()) for own in layout.split(marked)]
    counts = {key: sum(taken[number] for number in group) for key, group in groups.items()}
    if settings.random_like is not None:
        return counts
    towers = {key[0] for key in groups}
    of_tower = {tower: [key for key in groups if key[0] == tower] for tower in towers}
    even = {tower: sum(counts[key] for key in keys) // len(keys) for tower, keys in of_tower.items()}
    return {key: min(even[key[0]], sizes[key]) for key in groups}
