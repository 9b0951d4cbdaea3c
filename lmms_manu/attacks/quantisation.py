"""Quantisation: an edit that moves weights by less than half a step of the grid is rounded away.

Rounding to nearest, computed in the model's own precision: int8 with a scale for each row, int4 with one for each group
of 128 weights of a row, and bitsandbytes' nf4 where it is installed. Weights of zero stay zero. Source: Zhang et al.
(2410.16454).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import nn

from lmms_manu.attacks.base import Attack, InapplicableError, Target, Variant, keeping_weights

GROUP, BLOCK = 128, 64


class Quantisation(Attack):
    """The attack `quantisation`: every linear layer but the output layer on a coarser grid."""

    name = "quantisation"

    def variants(self) -> Mapping[str, Variant]:
        return {
            "int8": functools.partial(_quantised, how=functools.partial(rounded, bits=8, group=None)),
            "int4": functools.partial(_quantised, how=functools.partial(rounded, bits=4, group=GROUP)),
            "nf4": _quantised_to_nf4,
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
def _quantised_to_nf4(target: Target) -> Iterator[Target]:
    try:
        # An optional dependency.
        from bitsandbytes.functional import dequantize_4bit, quantize_4bit
    except ImportError:
        raise InapplicableError("bitsandbytes is not installed") from None

    def there_and_back(weight: torch.Tensor) -> torch.Tensor:
        # Without `contiguous` a transposed weight would be read in another order than it is written.
        codes, state = quantize_4bit(weight.contiguous(), quant_type="nf4", blocksize=BLOCK)
        found: torch.Tensor = dequantize_4bit(codes, state)
        return found

    with _quantised(target, how=there_and_back) as attacked:
        yield attacked


@contextlib.contextmanager
def _quantised(target: Target, *, how: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[Target]:
    model = target.checkpoint.model
    output = model.get_output_embeddings()
    with keeping_weights(target.checkpoint), torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear) and module is not output:
                module.weight.copy_(how(module.weight))
        yield target
