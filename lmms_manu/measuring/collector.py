"""The activations of one forward pass, gathered block by block while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lmms_manu.measuring.gathering import Gathering, Values
from lmms_manu.measuring.observations import UnknownRowsError, picture_rows, pictures_are_padded
from lmms_manu.models.blocks import LANGUAGE, MlpBlock


class BatchCollector:
    """Adds up what `watch` shows of one forward pass; give it to `watch` as the callback.

    Args:
        blocks: the blocks that are watched.
        inputs: the model's inputs.
        counted_tokens: which of the batch's tokens are observations, `[batch * tokens]`, bool.
        gathering: what is made of the activations.
        patch_size: the side of a patch of the vision tower in pixels, None if unknown.
        dtype: the type that is computed in.
    """

    def __init__(
        self,
        blocks: tuple[MlpBlock, ...],
        inputs: Mapping[str, Any],
        counted_tokens: Tensor,
        gathering: Gathering,
        patch_size: int | None,
        dtype: torch.dtype,
    ) -> None:
        self._blocks = blocks
        self._inputs = inputs
        self._gathering = gathering
        self._patch_size = patch_size
        self._dtype = dtype
        self._is_alone = len(inputs["input_ids"]) == 1
        self._tokens = counted_tokens
        self._any_row_counts = bool(counted_tokens.all())
        self._values: list[Tensor | None] = [None] * len(blocks)
        self._chosen: dict[tuple[str, int, torch.device], Tensor | None] = {}

    def __call__(self, index: int, activations: Tensor, rows: Tensor | None, columns: slice) -> None:
        block = self._blocks[index]
        if rows is None:
            chosen = self._counted(block.tower, len(activations), activations.device)
        else:
            chosen = self._counted_among(block.tower, rows)
        self._gathering.add(self._of(index, activations.device), activations, chosen, columns, self._dtype)

    def experts(self, index: int, activations: Tensor, rows: Tensor, counts: Sequence[int]) -> bool:
        """As `lmms_manu.models.routed.TakesExperts` says."""
        chosen = self._counted_among(self._blocks[index].tower, rows)
        if chosen is not None:
            owners = torch.repeat_interleave(torch.tensor(counts)).to(chosen.device)[chosen]
            activations, counts = activations[chosen], owners.bincount(minlength=len(counts)).tolist()
        return self._gathering.add_groups(self._of(index, activations.device), activations, counts, self._dtype)

    def values(self) -> Values:
        """The values gathered for each block; empty values for a block that did not run."""
        return [own if own is not None else self._gathering.empty(block) for block, own in enumerate(self._values)]

    def _of(self, index: int, device: torch.device) -> Tensor:
        """The values of a block so far, on the device that it runs on."""
        values = self._values[index]
        if values is None:
            # Metal has no float64.
            home = torch.device("cpu") if device.type == "mps" else device
            values = self._values[index] = self._gathering.empty(index, home)
        return values

    def _counted(self, tower: str, rows: int, device: torch.device) -> Tensor | None:
        """The indices of the rows that count among `rows`, None for all of them."""
        key = (tower, rows, device)
        if key not in self._chosen:
            mask = self._mask(tower, rows)
            self._chosen[key] = None if mask is None or bool(mask.all()) else mask.nonzero().flatten().to(device)
        return self._chosen[key]

    def _counted_among(self, tower: str, rows: Tensor) -> Tensor | None:
        """The positions in `rows`, the rows that one expert sees, that count."""
        if tower != LANGUAGE:
            if pictures_are_padded(self._inputs) and not self._is_alone:
                raise UnknownRowsError
            return None
        if self._any_row_counts:
            return None
        return self._tokens.to(rows.device)[rows].nonzero().flatten()

    def _mask(self, tower: str, rows: int) -> Tensor | None:
        if tower != LANGUAGE:
            try:
                return picture_rows(self._inputs, rows, self._patch_size)
            except UnknownRowsError:
                # What a processor adds to a single sample does not depend on any other: it belongs to the picture.
                if self._is_alone:
                    return None
                raise
        if rows == len(self._tokens):
            return self._tokens
        # The model arranges its tokens in a way of its own; without padding that does not matter.
        if self._any_row_counts:
            return None
        raise UnknownRowsError
