"""Quantisation: an edit that moves weights by less than half a step of the grid is rounded away.

Rounding to nearest, computed in the model's own precision: int8 with a scale for each row, int4 with one for each group
of 128 weights of a row. Weights of zero stay zero. Source: Zhang et al. (2410.16454).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from lmms_manu.attacks.base import Attack, Target, Variant, keeping_weights

GROUP = 128


class Quantisation(Attack):
    """The attack `quantisation`: every linear layer but the output layer on a coarser grid."""

    name = "quantisation"

    def variants(self) -> Mapping[str, Variant]:
        return {
            "int8": functools.partial(_quantised, bits=8, group=None),
            "int4": functools.partial(_quantised, bits=4, group=GROUP),
        }


def rounded(weight: torch.Tensor, bits: int, group: int | None) -> torch.Tensor:
    """Weights `[rows, columns]` on a symmetric grid of `2^bits - 1` steps, with a scale for each row or group of it."""
    largest = 2 ** (bits - 1) - 1
    pieces = weight.float().split(group or weight.shape[1], dim=1)
    found = []
    for piece in pieces:
        scale = piece.abs().amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny) / largest
        found.append((piece / scale).round().clamp(-largest, largest) * scale)
    return torch.cat(found, 1).to(weight.dtype)


@contextlib.contextmanager
def _quantised(target: Target, *, bits: int, group: int | None) -> Iterator[Target]:
    model = target.checkpoint.model
    output = model.get_output_embeddings()
    with keeping_weights(target.checkpoint), torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear) and module is not output:
                module.weight.copy_(rounded(module.weight, bits, group))
        yield target
