"""Statistics of neurons: each declared once, with the way in which those of two lots of observations become one.

Pure arithmetic. A statistic is a number per neuron that is a function of its activations z and can be put together
from any split of the observations, so that batches, processes and interrupted runs can be. What is declared here or
elsewhere is measured with `measure(..., statistics=(...))`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

Reduction = Literal["sum", "max", "min"]

_MERGE: dict[Reduction, Callable[..., Tensor]] = {
    "sum": torch.add,
    "max": torch.maximum,
    "min": torch.minimum,
}
_NEUTRAL: dict[Reduction, float] = {"sum": 0.0, "max": -math.inf, "min": math.inf}

# Activations that are reduced at once: on a CPU so few that the temporary copy of them stays in its cache, elsewhere so
# many that a device is busy, within bounds for its memory.
_AT_ONCE_ON_CPU = 1 << 17
_AT_ONCE = 1 << 25
_FEWEST_ROWS = 16

# Four vectors of sixteen float32, the widest that a CPU has.
_WHOLE_VECTORS = 64


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A number per neuron.

    Args:
        name: under which it is found, and by which a cache tells it from others: a changed formula needs a new name.
        reduction: how the values of two lots of observations become that of both.
        of: the values `[neurons]` of activations `[observations, neurons]`, at least one, at a threshold tau; None for
            one that no activation alone determines, which a runner of its own computes.

    Example:
        >>> highest = Statistic("highest", "max", lambda z, tau: z.amax(0))
        >>> reduce_activations((highest,), torch.tensor([[1.0, -2.0], [3.0, -4.0]]), tau=0.1)
        tensor([[ 3., -2.]], dtype=torch.float64)
    """

    name: str
    reduction: Reduction
    of: Callable[[Tensor, float], Tensor] | None = None


COUNT = Statistic("count", "sum", lambda z, tau: z.new_full(z.shape[1:], len(z)))
"""The number of observations."""

ABSOLUTE = Statistic("absolute", "sum", lambda z, tau: z.abs().sum(0))
"""The sum of |z|."""

SIGNED = Statistic("signed", "sum", lambda z, tau: z.sum(0))
"""The sum of z."""

SQUARED = Statistic("squared", "sum", lambda z, tau: z.square().sum(0))
"""The sum of z squared."""

ACTIVE = Statistic("active", "sum", lambda z, tau: (z.abs() > tau).to(z.dtype).sum(0))
"""The number of observations with |z| > tau."""

MOMENTS = (COUNT, ABSOLUTE, SIGNED, SQUARED, ACTIVE)
"""What MANU's scores are computed from; measured in one go over the activations."""


def no_observations(statistics: Sequence[Statistic], neurons: int, device: torch.device | str = "cpu") -> Tensor:
    """The values over no observation, `[statistics, neurons]`, float64."""
    neutral = torch.tensor([_NEUTRAL[one.reduction] for one in statistics], dtype=torch.float64, device=device)
    return neutral.unsqueeze(1).repeat(1, neurons)


def merge_into(statistics: Sequence[Statistic], values: Tensor, more: Tensor) -> None:
    """Makes `values` those over the observations of `more` as well; both `[statistics, neurons]`, on one device."""
    if all(statistic.reduction == "sum" for statistic in statistics):
        values += more
        return
    for statistic, own, new in zip(statistics, values, more.to(values.dtype), strict=True):
        _MERGE[statistic.reduction](own, new, out=own)


def are_finite(statistics: Sequence[Statistic], values: Tensor) -> Tensor:
    """Whether all values of `[statistics, neurons]` are finite, ignoring those without observations; a scalar."""
    empty = no_observations(statistics, 1, values.device)
    return (values.isfinite() | (values == empty)).all()


def reduce_activations(
    statistics: Sequence[Statistic],
    activations: Tensor,
    tau: float,
    rows: Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The values of `statistics` over `activations`.

    Args:
        statistics: what to compute.
        activations: z, `[observations, neurons]`, any floating type.
        tau: a neuron is active where |z| > tau.
        rows: indices of the observations that count, None for all.
        dtype: the type that is computed in; the values themselves are float64.

    Returns:
        `[statistics, neurons]`, on the device of `activations` (of Metal's on the CPU). Not finite if an activation
        that counts is not, or if its square does not fit into `dtype`.
    """
    # Metal has no float64.
    on_metal = activations.device.type == "mps"
    if on_metal and dtype == torch.float64:
        activations, rows = activations.cpu(), rows.cpu() if rows is not None else None
    neurons, device = activations.shape[1], activations.device
    total = len(activations) if rows is None else len(rows)
    size = max(_FEWEST_ROWS, (_AT_ONCE_ON_CPU if device.type == "cpu" else _AT_ONCE) // max(neurons, 1))
    home = torch.device("cpu") if on_metal else device
    values = no_observations(statistics, neurons, home)
    reduce_rows = _kernel(tuple(statistics), (min(size, total), neurons), dtype, device)
    for start in range(0, total, size):
        if rows is None:
            piece = activations[start : start + size]
        else:
            piece = activations.index_select(0, rows[start : start + size])
        merge_into(statistics, values, reduce_rows(piece.to(dtype), tau).to(home))
    return values


def keeps_bits(neurons: int, device: torch.device) -> bool:
    """Whether `reduce_groups` gives the bits of `reduce_activations`, or bits are not what a device is known for.

    A CPU sums whole vectors of columns sixteen rows at a time and then these, of which zeros behind the last row change
    nothing; columns that fill no vector it sums in another order, which depends on the number of rows.
    """
    return device.type != "cpu" or neurons % _WHOLE_VECTORS == 0


def reduce_groups(activations: Tensor, counts: Sequence[int], tau: float, dtype: torch.dtype = torch.float32) -> Tensor:
    """The `MOMENTS` over consecutive groups of activations, such as the tokens of one expert after the other.

    Groups of about the same length are summed together, filled up with zeros, so that hundreds of small groups take a
    handful of operations. On a CPU the values are those of `reduce_activations` group by group, to the bit, if
    `keeps_bits` says so.

    Args:
        activations: z, `[observations, neurons]`, group after group.
        counts: how many observations each group has; 0 for none.
        tau: a neuron is active where |z| > tau.
        dtype: the type that is computed in.

    Returns:
        `[statistics, groups, neurons]`, float64, on the device of `activations`.
    """
    neurons, device = activations.shape[1], activations.device
    values = torch.zeros(len(MOMENTS), len(counts), neurons, dtype=torch.float64, device=device)
    at_once = _AT_ONCE_ON_CPU if device.type == "cpu" else _AT_ONCE
    longest = max(_FEWEST_ROWS, at_once // max(neurons, 1))
    buckets: dict[int, list[tuple[int, int, int]]] = {}
    begin = 0
    for group, count in enumerate(counts):
        for start in range(0, count, longest):
            length = min(longest, count - start)
            filled = max(_FEWEST_ROWS, 1 << (length - 1).bit_length())
            buckets.setdefault(filled, []).append((group, begin + start, length))
        begin += count
    # Long groups may come in pieces, which are added in their order.
    for filled, pieces in sorted(buckets.items(), reverse=True):
        together = max(1, at_once // (filled * max(neurons, 1)))
        for first in range(0, len(pieces), together):
            some = torch.tensor(pieces[first : first + together], device=device)
            places = some[:, 1:2] + torch.arange(filled, device=device)
            there = torch.arange(filled, device=device) < some[:, 2:3]
            z = activations[places.clamp(max=len(activations) - 1)].to(dtype)
            z = torch.where(there.unsqueeze(-1), z, z.new_zeros(()))
            size = z.abs()
            sums = (size.sum(1), z.sum(1), z.square().sum(1), (size > tau).to(dtype).sum(1))
            values[0].index_add_(0, some[:, 0], some[:, 2:3].double().expand(-1, neurons))
            for own, new in zip(values[1:], sums, strict=True):
                own.index_add_(0, some[:, 0], new.double())
    return values


def _kernel(
    statistics: tuple[Statistic, ...], shape: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> Callable[[Tensor, float], Tensor]:
    """What computes `[statistics, neurons]` of at most `shape` activations, in `dtype`."""
    if statistics == MOMENTS:
        buffer = torch.empty(shape, dtype=dtype, device=device)
        values = torch.empty(len(MOMENTS), shape[1], dtype=dtype, device=device)
        return functools.partial(_moments, buffer, values)
    return functools.partial(_one_by_one, statistics)


def _one_by_one(statistics: tuple[Statistic, ...], z: Tensor, tau: float) -> Tensor:
    values = []
    for statistic in statistics:
        if statistic.of is None:
            raise ValueError(f"The statistic {statistic.name!r} is no function of activations alone.")
        values.append(statistic.of(z, tau))
    return torch.stack(values)


def _moments(buffer: Tensor, values: Tensor, z: Tensor, tau: float) -> Tensor:
    """The `MOMENTS` of `z`, `[rows, neurons]`, in one go.

    Args:
        buffer: of the shape of `z` or with more rows; takes the intermediate values: allocating it each time would
            cost as much as the arithmetic.
        values: `[5, neurons]`, which is written and returned.
        z: the activations.
        tau: a neuron is active where |z| > tau.
    """
    buffer = buffer[: len(z)]
    values[0] = len(z)
    torch.abs(z, out=buffer)
    torch.sum(buffer, 0, out=values[1])
    torch.sum(z, 0, out=values[2])
    torch.gt(buffer, tau, out=buffer)
    torch.sum(buffer, 0, out=values[4])
    torch.mul(z, z, out=buffer)
    torch.sum(buffer, 0, out=values[3])
    return values
