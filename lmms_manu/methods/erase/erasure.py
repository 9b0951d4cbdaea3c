"""The closed form: the least squares that make a linear map forget some of its inputs. Pure arithmetic.

For a down projection W `[out, neurons]` with inputs z, of those to forget and those to retain, the change D is sought
that minimises

    E_f ||(W + D) z - t||^2 + keep * E_r ||D z||^2 + ridge * s * ||D||^2

with s the mean over the neurons of E_r z^2. With C = E[z z^T] that is D = -(W C_f - t E_f[z]^T) A^-1 for
A = C_f + keep * C_r + ridge * s * I. Constrained least squares of this kind edit knowledge in MEMIT (Meng et al., ICLR
2023) and concepts in UCE (Gandikota et al., WACV 2024).

With B = A - C_f, the directions r that solve C_f r = m B r say where the inputs differ: m is how much there is of those
to forget for each unit of the others. Among all changes D = E R^T that read the inputs along a few of them alone, those
of the largest m, the sum is least for E = -(W C_f - t E_f[z]^T) R (I + M)^-1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

LARGEST_CONDITION = 1e12
"""Beyond it a solution in float64 has few true digits; the statistics themselves come from float32 products."""

_POWER_STEPS = 30


class SingularError(Exception):
    """The system has no solution that could be trusted; the text says why."""


@dataclasses.dataclass(frozen=True)
class Moments:
    """What inputs z of a linear map look like.

    Args:
        second: E[z z^T], `[neurons, neurons]`, float64.
        mean: E[z], `[neurons]`, float64.
    """

    second: Tensor
    mean: Tensor


@dataclasses.dataclass(frozen=True)
class Erasure:
    """A change of a linear map, and how well it is determined.

    Args:
        change: D^T, `[neurons, out]`, float64.
        residual: of the linear system, or of the equation that gives the directions, relative to its right side.
        condition: an estimate of the system's condition number from below.
    """

    change: Tensor
    residual: float
    condition: float


def erasure(
    weight: Tensor,
    forget: Moments,
    retain: Moments,
    keep: float,
    penalty: float,
    *,
    to_mean: bool = False,
    directions: int = 0,
) -> Erasure:
    """The change that erases, on the device of its arguments.

    Args:
        weight: W^T, `[neurons, out]`, float64.
        forget: of the inputs whose outputs are to vanish.
        retain: of the inputs whose outputs are to stay.
        keep: what the latter count.
        penalty: ridge * s, what the change itself counts.
        to_mean: whether t is the mean output for the inputs to retain rather than zero.
        directions: how many directions of the inputs are read at most; 0 for all.

    Raises:
        SingularError: the system is singular, or as good as that.
    """
    sent = forget.second - torch.outer(forget.mean, retain.mean) if to_mean else forget.second
    right = sent @ weight
    del sent
    if 0 < directions < len(weight):
        return _along(right, forget, retain, keep, penalty, directions)
    system = torch.add(forget.second, retain.second, alpha=keep)
    system.diagonal().add_(penalty)
    factor, condition = _factor(system)
    solution = torch.cholesky_solve(right, factor)
    residual = _relative(system @ solution - right, right)
    return Erasure(-solution, residual, condition)


def _along(right: Tensor, forget: Moments, retain: Moments, keep: float, penalty: float, directions: int) -> Erasure:
    """The change that reads the first directions alone; `right` is (W C_f - t E_f[z]^T)^T."""
    others = retain.second * keep
    others.diagonal().add_(penalty)
    factor, condition = _factor(others)
    seen = torch.linalg.solve_triangular(factor, forget.second, upper=False)
    seen = torch.linalg.solve_triangular(factor, seen.T, upper=False)
    ratios, turned = torch.linalg.eigh(seen)
    ratios = ratios[-directions:].clamp(min=0)
    read = torch.linalg.solve_triangular(factor.T, turned[:, -directions:], upper=True)
    residual = _relative(forget.second @ read - others @ read * ratios, others @ read * (1 + ratios))
    return Erasure(-read @ ((read.T @ right) / (1 + ratios).unsqueeze(1)), residual, condition)


def _factor(system: Tensor) -> tuple[Tensor, float]:
    """The Cholesky factor of a system and its condition.

    Raises:
        SingularError: it has none that could be trusted.
    """
    factor, failed = torch.linalg.cholesky_ex(system)
    if bool(failed):
        raise SingularError("it is singular")
    condition = _condition(system, factor)
    if not condition <= LARGEST_CONDITION:
        raise SingularError(f"it is nearly singular: its condition number is {condition:.1e}")
    return factor, condition


def _relative(left: Tensor, whole: Tensor) -> float:
    """How large what is left over is beside the whole."""
    return float(left.norm() / whole.norm().clamp(min=torch.finfo(whole.dtype).tiny))


def balanced(moments: Sequence[Moments]) -> Moments:
    """The mean over modalities, each of which counts the same however many observations it has.

    Args:
        moments: of each modality, those of the first are overwritten: a second one of 11,008 neurons is a gigabyte.
    """
    first, *others = moments
    for other in others:
        first.second.add_(other.second)
        first.mean.add_(other.mean)
    first.second.div_(len(moments))
    first.mean.div_(len(moments))
    return first


def _condition(system: Tensor, factor: Tensor) -> float:
    """The largest eigenvalue by the smallest, both by power iteration from a fixed start, `[neurons]` at a time."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(len(system), 1, generator=generator, dtype=torch.float64).to(system)
    highest = lowest = start / start.norm()
    growth = shrinkage = torch.ones((), dtype=system.dtype, device=system.device)
    for _ in range(_POWER_STEPS):
        highest, lowest = system @ highest, torch.cholesky_solve(lowest, factor)
        growth, shrinkage = highest.norm(), lowest.norm()
        highest, lowest = highest / growth, lowest / shrinkage
    return float(growth * shrinkage)
