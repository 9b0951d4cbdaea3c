"""The importance scores of MANU and its variants: pure functions of the five sums per neuron.

Source: Liu et al., "Modality-Aware Neuron Pruning for Unlearning in Multimodal Large Language Models", ACL 2025
(arXiv 2502.15910), and the code that its authors released, whose score is another one. Sums are used as rates (divided
by the number of observations), because a picture adds hundreds of tokens; that equals the paper's formulas where both
sides have the same number.

Everywhere `sums` is `[set, modality, sum, neurons]`, float64, in the orders of `SETS`, `MODALITIES` and `SUMS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

# Neurons that are scored at once: so few that what is computed on the way stays small beside the sums of a model of
# millions of neurons, and is written again and again to the same memory.
_AT_ONCE = 1 << 18

PAPER_EPSILON = 1e-6
RELEASED_EPSILON = 1e-5


@dataclass(frozen=True)
class TermWeights:
    """Weights of the four terms of a score; zero drops a term (Table 7 of the paper)."""

    absolute: float = 1.0
    frequency: float = 1.0
    variance: float = 1.0
    rms: float = 1.0

    def combine(self, absolute: Tensor, frequency: Tensor, variance: Tensor, rms: Tensor) -> Tensor:
        """The weighted sum of four terms of the same shape."""
        return self.absolute * absolute + self.frequency * frequency + self.variance * variance + self.rms * rms


@dataclass(frozen=True)
class Rates:
    """Sums divided by the number of observations; zero where there was none.

    Args:
        absolute: mean of |z|.
        squared: mean of z squared.
        active: share of observations with |z| > tau.
    """

    absolute: Tensor
    squared: Tensor
    active: Tensor

    @classmethod
    def of(cls, sums: Tensor) -> Rates:
        """The rates of `sums`, `[..., 5, neurons]`, each `[..., neurons]`."""
        count, absolute, _, squared, active = sums.unbind(-2)
        count = count.clamp(min=1)
        return cls(absolute / count, squared / count, active / count)

    def variance_of_magnitude(self) -> Tensor:
        """The variance of |z|, the one that the paper takes."""
        return self.absolute.square().neg_().add_(self.squared).clamp_(min=0)

    def deviation(self, sums: Tensor) -> Tensor:
        """The standard deviation of z, the one that the released code takes; `sums` are those of the rates."""
        count, _, signed, _, _ = sums.unbind(-2)
        return (self.squared - (signed / count.clamp(min=1)).square_()).clamp_(min=0).sqrt_()


def paper(sums: Tensor, vision: Tensor, weights: TermWeights) -> Tensor:
    """The score of the paper's equations: S = I(forget) / (I(retain) + e).

    Args:
        sums: `[2, 2, 5, neurons]`.
        vision: not used here; a mark per neuron, `[neurons]`.
        weights: of the four importance terms.

    Returns:
        Scores, `[neurons]`, float64, not negative.
    """
    forget, retain = (modality_gap(Rates.of(of_set), weights) for of_set in sums)
    return forget / (retain + PAPER_EPSILON)


def invariant(sums: Tensor, vision: Tensor, weights: TermWeights) -> Tensor:
    """The paper's score on statistics that no function-preserving rescaling of a neuron changes.

    Multiplying a neuron's up projection by c and its column of the down projection by 1/c leaves the model's function
    alone but multiplies z by c. Here z is taken in units of the neuron's own root mean square over all observations,
    and the share of observations above a fixed threshold gives way to (mean |z|)^2 / mean z^2, the sparseness of
    Treves and Rolls (1991): for a neuron that is either silent or at one level it is the share in which it fires.
    Arguments and result as in `paper`.
    """
    # The pooled sums of both sets and modalities have the unit of what is being rescaled.
    unit = Rates.of(sums.sum((0, 1))).squared.sqrt()
    unit = torch.where(unit > 0, unit, torch.ones_like(unit))

    def importance(of_set: Tensor) -> Tensor:
        rates = Rates.of(of_set)
        absolute, squared = rates.absolute / unit, rates.squared / unit.square()
        sparseness = absolute.square() / torch.where(squared > 0, squared, torch.ones_like(squared))
        return modality_gap(Rates(absolute, squared, sparseness), weights)

    forget, retain = (importance(of_set) for of_set in sums)
    return forget / (retain + PAPER_EPSILON)


def released(sums: Tensor, vision: Tensor, weights: TermWeights) -> Tensor:
    """The released code's score: four ratios of forget to retain, in the one modality that a tower stands for.

    Language neurons are scored on text alone, vision neurons on picture and text. Arguments and result as in `paper`;
    the scores lie above minus the sum of the weights.
    """
    multimodal, text = _ratio_scores(sums, weights)
    return torch.where(vision, multimodal, text)


def ratio(sums: Tensor, vision: Tensor, weights: TermWeights) -> Tensor:
    """The released code's four ratios for both modalities in both towers; the larger of the two counts.

    Arguments and result as in `released`.
    """
    multimodal, text = _ratio_scores(sums, weights)
    return torch.maximum(multimodal, text)


def random(neurons: int, seed: int) -> Tensor:
    """Scores drawn evenly from [0, 1) by `seed`: the control, `[neurons]`, float64."""
    return torch.rand(neurons, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


MeasuredScore = Callable[[Tensor, Tensor, TermWeights], Tensor]

MEASURED_SCORES: Mapping[str, MeasuredScore] = {
    "paper": paper,
    "released": released,
    "ratio": ratio,
    "invariant": invariant,
}


def measured_scores(recipe: str, sums: Tensor, vision: Tensor, weights: TermWeights) -> Tensor:
    """The scores of one of the `MEASURED_SCORES`.

    Args:
        recipe: its name.
        sums: `[2, 2, 5, neurons]`.
        vision: `[neurons]`, bool: which neurons belong to the vision tower.
        weights: of the four terms.

    Returns:
        Scores, `[neurons]`, float64, finite; the highest are pruned.

    Raises:
        ValueError: `sums` has another shape, or a score is not finite.
    """
    if sums.ndim != 4 or sums.shape[:3] != (2, 2, 5):
        raise ValueError(f"sums have the shape {tuple(sums.shape)}; needed is [2 sets, 2 modalities, 5 sums, neurons].")
    score = MEASURED_SCORES[recipe]
    some = zip(sums.split(_AT_ONCE, -1), vision.split(_AT_ONCE), strict=True)
    scores = torch.cat([score(*own, weights) for own in some])
    # Not a number counts as both the lowest and the highest.
    if not all(math.isfinite(extreme) for extreme in scores.aminmax()):
        raise ValueError(f"{int((~scores.isfinite()).sum())} scores of the recipe {recipe!r} are not finite.")
    return scores


def modality_gap(rates: Rates, weights: TermWeights) -> Tensor:
    """The paper's importance I of a data set: four terms that compare its two modalities.

    Args:
        rates: each `[..., 2, neurons]`, the modalities in the order of `MODALITIES`.
        weights: of the four terms.

    Returns:
        Importance, `[..., neurons]`, not negative.
    """
    variance = rates.variance_of_magnitude().sum(-2).sqrt_()
    return weights.combine(
        _contrast(rates.absolute), _contrast(rates.active), variance, _contrast(rates.squared).sqrt_()
    )


def _contrast(rate: Tensor) -> Tensor:
    """|multimodal - text| / (multimodal + text + e), for a rate of `[..., 2, neurons]`."""
    multimodal, text = rate.unbind(-2)
    return (multimodal - text).abs_().div_((multimodal + text).add_(PAPER_EPSILON))


def _ratio_scores(sums: Tensor, weights: TermWeights) -> tuple[Tensor, Tensor]:
    """The sum of the four ratios for picture and text and for text alone, each `[neurons]`."""
    rates = Rates.of(sums)

    def relative(statistic: Tensor) -> Tensor:
        forget, retain = statistic.unbind(0)
        return forget / (retain + RELEASED_EPSILON) - 1

    both = weights.combine(
        relative(rates.absolute),
        relative(rates.active),
        relative(rates.deviation(sums)),
        relative(rates.squared.sqrt()),
    )
    multimodal, text = both.unbind(0)
    return multimodal, text
