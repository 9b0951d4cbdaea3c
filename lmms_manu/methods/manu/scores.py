"""The importance scores of MANU and its variants: pure functions of statistics of the neurons.

Source: Liu et al., "Modality-Aware Neuron Pruning for Unlearning in Multimodal Large Language Models", ACL 2025
(arXiv 2502.15910), and the code that its authors released, whose score is another one. Sums are used as rates (divided
by the number of observations), because a picture adds hundreds of tokens; that equals the paper's formulas where both
sides have the same number.

Sets and modalities stand in the orders of `SETS` and `MODALITIES`; a modality that was not measured is left out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from lmms_manu.measuring.neuron_statistics import NeuronStatistics
from lmms_manu.measuring.parts import SETS, Part
from lmms_manu.measuring.statistics import ABSOLUTE, ACTIVE, COUNT, SIGNED, SQUARED
from lmms_manu.names import MODALITIES

# Neurons that are scored at once: so few that what is computed on the way stays small beside the sums of a model of
# millions of neurons, and is written again and again to the same memory.
_AT_ONCE = 1 << 18

PAPER_EPSILON = 1e-6
RELEASED_EPSILON = 1e-5


@dataclasses.dataclass(frozen=True)
class TermWeights:
    """Weights of the four terms of a score; zero drops a term (Table 7 of the paper)."""

    absolute: float = 1.0
    frequency: float = 1.0
    variance: float = 1.0
    rms: float = 1.0

    def combine(self, absolute: Tensor, frequency: Tensor, variance: Tensor, rms: Tensor) -> Tensor:
        """The weighted sum of four terms of the same shape."""
        return self.absolute * absolute + self.frequency * frequency + self.variance * variance + self.rms * rms


@dataclasses.dataclass(frozen=True)
class Moments:
    """The statistics that scores are made of, each `[sets, modalities, neurons]`, float64.

    Args:
        count: observations.
        absolute: sum of |z|.
        signed: sum of z.
        squared: sum of z squared.
        active: observations with |z| > tau.
        modalities: what the second dimension stands for.
    """

    count: Tensor
    absolute: Tensor
    signed: Tensor
    squared: Tensor
    active: Tensor
    modalities: tuple[str, ...] = MODALITIES

    @classmethod
    def of(cls, statistics: NeuronStatistics, inside: slice = slice(None)) -> Moments:
        """Those of the neurons `inside` a range."""
        modalities = statistics.modalities

        def of_parts(name: str) -> Tensor:
            rows = [[statistics(Part(group, modality), name)[inside] for modality in modalities] for group in SETS]
            return torch.stack([torch.stack(row) for row in rows])

        names = (COUNT.name, ABSOLUTE.name, SIGNED.name, SQUARED.name, ACTIVE.name)
        count, absolute, signed, squared, active = map(of_parts, names)
        return cls(count, absolute, signed, squared, active, modalities)

    def rates(self) -> Rates:
        """The statistics of an average observation."""
        count = self.count.clamp(min=1)
        return Rates(self.absolute / count, self.squared / count, self.active / count)

    def deviation(self) -> Tensor:
        """The standard deviation of z, the one that the released code takes."""
        count = self.count.clamp(min=1)
        return (self.squared / count - (self.signed / count).square_()).clamp_(min=0).sqrt_()


@dataclasses.dataclass(frozen=True)
class Rates:
    """Statistics divided by the number of observations; zero where there was none.

    Args:
        absolute: mean of |z|.
        squared: mean of z squared.
        active: share of observations with |z| > tau.
    """

    absolute: Tensor
    squared: Tensor
    active: Tensor

    def variance_of_magnitude(self) -> Tensor:
        """The variance of |z|, the one that the paper takes."""
        return self.absolute.square().neg_().add_(self.squared).clamp_(min=0)


def paper(moments: Moments, vision: Tensor, weights: TermWeights) -> Tensor:
    """The score of the paper's equations: S = I(forget) / (I(retain) + e).

    Args:
        moments: of `[2, 2, neurons]`.
        vision: not used here; a mark per neuron, `[neurons]`.
        weights: of the four importance terms.

    Returns:
        Scores, `[neurons]`, float64, not negative.
    """
    forget, retain = modality_gap(moments.rates(), weights).unbind(0)
    return forget / (retain + PAPER_EPSILON)


def invariant(moments: Moments, vision: Tensor, weights: TermWeights) -> Tensor:
    """The paper's score on statistics that no function-preserving rescaling of a neuron changes.

    Multiplying a neuron's up projection by c and its column of the down projection by 1/c leaves the model's function
    alone but multiplies z by c. Here z is taken in units of the neuron's own root mean square over all observations,
    and the share of observations above a fixed threshold gives way to (mean |z|)^2 / mean z^2, the sparseness of
    Treves and Rolls (1991): for a neuron that is either silent or at one level it is the share in which it fires.
    Arguments and result as in `paper`.
    """
    # The pooled statistics of both sets and modalities have the unit of what is being rescaled.
    unit = (moments.squared.sum((0, 1)) / moments.count.sum((0, 1)).clamp(min=1)).sqrt()
    unit = torch.where(unit > 0, unit, torch.ones_like(unit))
    rates = moments.rates()
    absolute, squared = rates.absolute / unit, rates.squared / unit.square()
    sparseness = absolute.square() / torch.where(squared > 0, squared, torch.ones_like(squared))
    forget, retain = modality_gap(Rates(absolute, squared, sparseness), weights).unbind(0)
    return forget / (retain + PAPER_EPSILON)


def released(moments: Moments, vision: Tensor, weights: TermWeights) -> Tensor:
    """The released code's formula: four ratios of forget to retain, in the one modality that a tower stands for.

    Language neurons are scored on text alone, vision neurons on picture and text; without pictures, vision neurons
    get the score of text, on which they never run. Arguments and result as in `paper`, but for any modalities with
    text; the scores lie above minus the sum of the weights.
    """
    scores = dict(zip(moments.modalities, _ratio_scores(moments, weights), strict=True))
    text = scores["text"]
    return torch.where(vision, scores.get("multimodal", text), text)


def ratio(moments: Moments, vision: Tensor, weights: TermWeights) -> Tensor:
    """The released code's four ratios for every modality in both towers; the largest of them counts.

    Arguments and result as in `released`, but for any modalities.
    """
    return _ratio_scores(moments, weights).amax(0)


def random(neurons: int, seed: int) -> Tensor:
    """Scores drawn evenly from [0, 1) by `seed`: the control, `[neurons]`, float64."""
    return torch.rand(neurons, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


MeasuredScore = Callable[[Moments, Tensor, TermWeights], Tensor]

MEASURED_SCORES: Mapping[str, MeasuredScore] = {
    "paper": paper,
    "released": released,
    "ratio": ratio,
    "invariant": invariant,
}


def measured_scores(recipe: str, statistics: NeuronStatistics, weights: TermWeights) -> Tensor:
    """The scores of one of the `MEASURED_SCORES`.

    Args:
        recipe: its name.
        statistics: of all that the recipe needs.
        weights: of the four terms.

    Returns:
        Scores, `[neurons]`, float64, finite; the highest are pruned.

    Raises:
        ValueError: a score is not finite.
    """
    score, layout = MEASURED_SCORES[recipe], statistics.layout
    ranges = [slice(start, start + _AT_ONCE) for start in range(0, layout.neurons, _AT_ONCE)]
    scores = torch.cat([score(Moments.of(statistics, some), layout.vision[some], weights) for some in ranges])
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


def _ratio_scores(moments: Moments, weights: TermWeights) -> Tensor:
    """The sum of the four ratios in each modality, `[modalities, neurons]`."""
    rates = moments.rates()

    def relative(statistic: Tensor) -> Tensor:
        forget, retain = statistic.unbind(0)
        return forget / (retain + RELEASED_EPSILON) - 1

    return weights.combine(
        relative(rates.absolute),
        relative(rates.active),
        relative(moments.deviation()),
        relative(rates.squared.sqrt()),
    )
