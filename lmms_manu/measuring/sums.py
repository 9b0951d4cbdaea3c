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

# Rows that are summed at once on a CPU: few enough that the temporaries of a wide layer stay in its cache.
_CPU_ROWS = 512


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
        """The sums over the observations of both."""
        return ActivationSums(self.values + other.values)


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
        The sums, on the device of `activations`. They are not finite if an activation that counts is not, or if its
        square does not fit into `dtype`.
    """
    total = len(activations) if rows is None else len(rows)
    # Large enough to feed an accelerator in one go, small enough to stay in a processor's cache.
    size = _CPU_ROWS if activations.device.type == "cpu" else max(total, 1)
    # Metal has no float64: there the partial sums are widened on the CPU.
    home = activations.device if activations.device.type != "mps" else torch.device("cpu")
    values = torch.zeros(len(SUMS), activations.shape[1], dtype=torch.float64, device=home)
    for start in range(0, total, size):
        if rows is None:
            part = activations[start : start + size]
        else:
            part = activations.index_select(0, rows[start : start + size])
        values[1:] += _partial_sums(part.to(dtype), tau).to(home)
    values[0] = total
    return ActivationSums(values)


def _partial_sums(part: Tensor, tau: float) -> Tensor:
    """Sums of |z|, z, z squared and |z| > tau over the rows of `part`: `[4, neurons]`, with one temporary."""
    sums = part.new_empty(len(SUMS) - 1, part.shape[1])
    buffer = torch.abs(part)
    torch.sum(buffer, 0, out=sums[0])
    torch.sum(part, 0, out=sums[1])
    torch.gt(buffer, tau, out=buffer)
    torch.sum(buffer, 0, out=sums[3])
    torch.mul(part, part, out=buffer)
    torch.sum(buffer, 0, out=sums[2])
    return sums
