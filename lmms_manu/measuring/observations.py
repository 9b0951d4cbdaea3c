"""Which rows of an activation are observations: padding never is, and `tokens` may ask for fewer than all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lmms_manu.measuring.settings import Tokens

_PIXELS, _TILES, _PLACES = "pixel_attention_mask", "aspect_ratio_mask", "image_position_ids"


def token_rows(attention_mask: Tensor, tokens: Tokens, question_lengths: Sequence[int] | None = None) -> Tensor:
    """The rows of the language tower that count.

    Args:
        attention_mask: `[batch, tokens]`, padded on the left.
        tokens: `all`; `last`, the question's last token; `answer`, the tokens of the answer, each where it is read;
            or `predicting`, the tokens that an answer's token follows, where the model makes it up: the question's last
            one and the answer's but for its last.
        question_lengths: the number of tokens of each question; needed unless `tokens` is `all`.

    Returns:
        `[batch * tokens]`, bool.
    """
    attended = attention_mask.bool()
    if tokens == "all":
        return attended.flatten()
    if question_lengths is None:
        raise ValueError(f"tokens={tokens!r} needs the lengths of the questions.")
    # The position of each token in its own sample, whatever stands before it as padding.
    position = attended.long().cumsum(1) - 1
    lengths = torch.tensor(question_lengths, device=attended.device).unsqueeze(1)
    wanted = {
        "last": position == lengths - 1,
        "answer": position >= lengths,
        "predicting": (position >= lengths - 1) & (position < position[:, -1:]),
    }[tokens]
    return (attended & wanted).flatten()


def picture_rows(inputs: Mapping[str, Any], rows: int, patch_size: int | None) -> Tensor | None:
    """The rows of the vision tower that belong to a picture, where the processor pads pictures.

    Args:
        inputs: the model's inputs.
        rows: how many rows the vision tower works on at once.
        patch_size: the side of a patch in pixels, where the model's configuration states one.

    Returns:
        `[rows]`, bool; None if every row belongs to a picture.

    Raises:
        UnknownRowsError: pictures are padded, but not in a way that is known here.
    """
    if not pictures_are_padded(inputs):
        return None
    if _PLACES in inputs:
        places = inputs[_PLACES]
        if places.shape[:-1].numel() != rows:
            raise UnknownRowsError
        return ~_are_nowhere(places).flatten()
    if _PIXELS in inputs:
        return _patches(inputs[_PIXELS].bool(), rows)
    return _tiles(inputs[_TILES].bool(), inputs["pixel_values"], rows, patch_size)


def pictures_are_padded(inputs: Mapping[str, Any]) -> bool:
    """Whether the processor gave inputs that leave out a part of the pictures; Mllama always rounds its tiles up."""
    pixels, places = inputs.get(_PIXELS), inputs.get(_PLACES)
    return (
        _TILES in inputs
        or (isinstance(pixels, Tensor) and not bool(pixels.all()))
        or (isinstance(places, Tensor) and bool(_are_nowhere(places).any()))
    )


def _are_nowhere(places: Tensor) -> Tensor:
    """Which patches fill a picture up to a fixed number of them (Gemma 4), by their places `[..., patches, 2]`."""
    return (places < 0).all(-1)


class UnknownRowsError(Exception):
    """Raised if the padding of a batch cannot be located among the rows; a batch of one sample has no padding."""


def _patches(mask: Tensor, rows: int) -> Tensor:
    """Patches that the picture fills, from a mask of pixels or of patches.

    A patch that it fills in part exists only in a padded batch: of a picture alone, the edge is cut off.
    """
    if mask.numel() == rows:
        return mask.flatten()
    if mask.ndim < 3:
        raise UnknownRowsError
    height, width = mask.shape[-2:]
    pictures = mask.reshape(-1, height, width)
    # Whole pictures of padding, which even out the number of pictures, never reach the tower.
    pictures = pictures[pictures.flatten(1).any(1)]
    side = round((pictures.numel() / rows) ** 0.5)
    if side == 0 or len(pictures) * (height // side) * (width // side) != rows:
        raise UnknownRowsError
    patches = pictures.unfold(1, side, side).unfold(2, side, side)
    return patches.flatten(-2).all(-1).flatten()


def _tiles(mask: Tensor, pixels: Tensor, rows: int, patch_size: int | None) -> Tensor:
    """Patches of the tiles that a picture fills (Mllama), without those that round a tile up to a multiple of 8."""
    tiles = mask.numel()
    if patch_size is None or rows % tiles:
        raise UnknownRowsError
    patches = (pixels.shape[-2] // patch_size) * (pixels.shape[-1] // patch_size) + 1
    in_tile = torch.arange(rows // tiles, device=mask.device) < patches
    return (mask.flatten().unsqueeze(1) & in_tile).flatten()
