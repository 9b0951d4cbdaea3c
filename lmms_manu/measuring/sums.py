"""Five sums per neuron, from which every importance score is computed; pure arithmetic.

The sums are additive over any split of the observations, so that batches, processes and interrupted runs can be put
together again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SETS = ("forget", "retain")
MODALITIES = ("multimodal", "text")
SUMS = ("count", "absolute", "signed", "squared", "active")

# Activations that are summed at once: on a CPU so few that the temporary copy of them stays in its cache, elsewhere so
# many that a device is busy, within bounds for its memory.
_AT_ONCE_ON_CPU = 1 << 17
_AT_ONCE = 1 << 25
_FEWEST_ROWS = 16


@dataclass(frozen=True)
class ActivationSums:
    """The sums of a number of neurons over some observations.

    Args:
        values: `[5, neurons]`, float64, in the order of `SUMS`: number of observations, sum of |z|, sum of z, sum of
            z squared, number of observations with |z| > tau.
    """

    values: Tensor

    @classmethod
    def zeros(cls, neurons: int, device: torch.device | str = "cpu") -> ActivationSums:
        """The sums over no observation."""
        return cls(torch.zeros(len(SUMS), neurons, dtype=torch.float64, device=device))

    @property
    def count(self) -> Tensor:
        return self.values[0]

    @property
    def absolute(self) -> Tensor:
        return self.values[1]

    @property
    def signed(self) -> Tensor:
        return self.values[2]

    @property
    def squared(self) -> Tensor:
        return self.values[3]

    @property
    def active(self) -> Tensor:
        return self.values[4]

    def merge(self, other: ActivationSums) -> ActivationSums:
        """The sums over the observations of both, on the device of `other`."""
        return ActivationSums(self.values.to(other.values.device) + other.values)


def sum_activations(
    activations: Tensor, tau: float, rows: Tensor | None = None, dtype: torch.dtype = torch.float32
) -> ActivationSums:
    """The five sums over `activations`.

    Args:
        activations: z, `[observations, neurons]`, any floating type.
        tau: a neuron is active where |z| > tau.
        rows: indices of the observations that count, None for all.
        dtype: the type that squares and partial sums are computed in; the sums themselves are float64.

    Returns:
        The sums, on the device of `activations` (of Metal's on the CPU). They are not finite if an activation that
        counts is not, or if its square does not fit into `dtype`.
    """
    # Metal has no float64.
    on_metal = activations.device.type == "mps"
    if on_metal and dtype == torch.float64:
        activations, rows = activations.cpu(), rows.cpu() if rows is not None else None
    neurons = activations.shape[1]
    total = len(activations) if rows is None else len(rows)
    device = activations.device
    size = max(_FEWEST_ROWS, (_AT_ONCE_ON_CPU if device.type == "cpu" else _AT_ONCE) // max(neurons, 1))
    home = torch.device("cpu") if on_metal else device
    values = torch.zeros(len(SUMS), neurons, dtype=torch.float64, device=home)
    values[0] = total
    buffer = torch.empty(min(size, total), neurons, dtype=dtype, device=device)
    partial = torch.empty(len(SUMS) - 1, neurons, dtype=dtype, device=device)
    for start in range(0, total, size):
        if rows is None:
            part = activations[start : start + size]
        else:
            part = activations.index_select(0, rows[start : start + size])
        _sum_rows(part.to(dtype), tau, buffer[: len(part)], partial)
        values[1:] += partial.to(home)
    return ActivationSums(values)


def _sum_rows(part: Tensor, tau: float, buffer: Tensor, sums: Tensor) -> None:
    """Sums of |z|, z, z squared and |z| > tau over the rows of `part`, `[rows, neurons]`, into `sums`, `[4, neurons]`.

    `buffer` is of the shape of `part` and takes the intermediate values: allocating it anew would cost as much as the
    arithmetic.
    """
    torch.abs(part, out=buffer)
    torch.sum(buffer, 0, out=sums[0])
    torch.sum(part, 0, out=sums[1])
    torch.gt(buffer, tau, out=buffer)
    torch.sum(buffer, 0, out=sums[3])
    torch.mul(part, part, out=buffer)
    torch.sum(buffer, 0, out=sums[2])
