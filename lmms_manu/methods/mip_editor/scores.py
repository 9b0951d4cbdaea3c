"""Scores of paths of neurons (arXiv 2511.06793, equations 4 and 6). Pure arithmetic.

A path holds one or several neurons of each layer. Its score is the product of two sums over its neurons,

    (sum of z) * (mean over the points of the sum of dF/dz, or of its square)

with z the measured activations, and F the answer's probability (inter-layer gradient integration) or, with the squares,
its log-probability (inter-layer Fisher integration), where the path's activations are k/m of the measured ones. Where a
neuron has an activation at each of several positions, the product is taken at each and added up, so that the score of
a single neuron is its integrated gradient, exact as the points become many.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

OFFSETS = {"left": 0.0, "middle": 0.5, "right": 1.0}


def points_of(number: int, quadrature: str) -> Tensor:
    """Where an integral from 0 to 1 is evaluated, `[points]`, float64: from 0, from the middle, or up to 1."""
    return (torch.arange(number, dtype=torch.float64) + OFFSETS[quadrature]) / number


@dataclasses.dataclass(frozen=True)
class PathSums:
    """What a path brings into the score of a longer one, at each position.

    Args:
        activations: the sum of z over its neurons, float32 `[positions]`.
        slopes: the mean over the points of the sum of dF/dz, or of their squares, float32 `[positions]`.
    """

    activations: Tensor
    slopes: Tensor


def slopes(gradients: Tensor, *, squared: bool) -> Tensor:
    """The mean over the points, float32 `[positions, neurons]`, of dF/dz `[points, positions, neurons]`."""
    if squared:
        return gradients.float().square().mean(0)
    return gradients.float().mean(0)


def scores(path: PathSums, activations: Tensor, candidates: Tensor) -> Tensor:
    """The score of the path with each candidate added to it, `[neurons]`.

    Args:
        path: the sums of the path so far.
        activations: the measured z of the candidates, `[positions, neurons]`.
        candidates: their `slopes`, `[positions, neurons]`.
    """
    z = activations.float()
    own = (z * candidates).sum(0)
    return own + path.activations @ candidates + path.slopes @ z + path.activations @ path.slopes


def spread(values: Tensor, positions: int) -> Tensor:
    """A path's sums at so many positions: evenly, where a layer sees another number of them than those before it."""
    return values if len(values) == positions else values.mean().expand(positions)
