"""The down projections of a model's blocks, as maps from neurons: what edits of outputs change."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from lmms_manu.editing.zero import check_editable, neurons_of
from lmms_manu.errors import ModelError
from lmms_manu.models.blocks import MlpBlock
from lmms_manu.models.loading import Checkpoint


def down_projections(checkpoint: Checkpoint) -> tuple[MlpBlock, ...]:
    """The blocks of the model, each with its down projection as its only slot.

    Raises:
        ModelError: a down projection cannot be edited, or is a convolution over several places.
    """
    found = checkpoint.mlp_blocks
    blocks = tuple(dataclasses.replace(block, slots=block.slots[-1:]) for block in found)
    check_editable(checkpoint.model, blocks)
    for block in blocks:
        shape = checkpoint.model.get_parameter(block.slots[0].parameter).shape
        if any(size > 1 for size in shape[3 if block.experts else 2 :]):
            raise ModelError(
                f"{block.slots[0].parameter} cannot be edited: it is a convolution over several places, of the shape "
                f"{tuple(shape)}, and no map from neurons alone. Name other blocks with mlp_blocks=."
            )
    return blocks


def down_columns(weight: Tensor, block: MlpBlock) -> tuple[Tensor, ...]:
    """Views of a down projection's weight, `[neurons, out]`: one of a dense block, of experts one each."""
    view = neurons_of(weight, block, block.slots[-1])
    pieces = view.unbind(0) if block.experts else (view,)
    # A convolution over a single place has further axes, of one entry each.
    return tuple(piece.flatten(1) for piece in pieces)
