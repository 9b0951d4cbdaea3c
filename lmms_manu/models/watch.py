"""Reading, and if wanted replacing, the activations of MLP blocks while a model runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from lmms_manu.models.blocks import MlpBlock
from lmms_manu.models.routed import watch_routed

Callback = Callable[[int, torch.Tensor, torch.Tensor | None, slice], torch.Tensor | None]
"""Called with the block's position, activations `[rows, columns]`, the rows' token positions, and the columns."""


@contextlib.contextmanager
def watch(model: nn.Module, blocks: Sequence[MlpBlock], callback: Callback) -> Iterator[None]:
    """Calls `callback` with the activations of `blocks` in every forward pass within the context.

    An activation is the input of the down projection: act(gate) * up, or act(up). The callback gets

    - `block_index`: the position in `blocks`;
    - `activations`: `[rows, columns]`, one row an observation, on the layer's own device and in its dtype;
    - `rows`: None where the rows are all tokens of the batch in order, `[batch * tokens]`; with experts the positions
      in that order of the tokens that were routed to the expert, `[rows]`;
    - `columns`: which neurons of the block the columns are; with experts those of one expert.

    With experts, a callback that is a `lmms_manu.models.routed.TakesExperts` may be given all of a product at once.

    It may return a tensor of the shape of `activations` that takes their place, or None. It is called before the
    projection runs, so it must not change `activations` in place. Blocks that do not run (a vision tower on text) are
    not reported. Vision towers pack their tokens in their own ways: there is no position of text in their rows.

    Args:
        model: the model that the blocks were found in; it may be spread over devices or offloaded.
        blocks: what to watch.
        callback: see above.

    Raises:
        ModelError: experts run in a fused kernel that never shows their activations.
    """
    with contextlib.ExitStack() as stack:
        for index, block in enumerate(blocks):
            if not block.routed:
                handle = model.get_submodule(block.down).register_forward_pre_hook(_dense_hook(index, callback))
                stack.callback(handle.remove)
        watch_routed(model, blocks, callback, stack)
        yield


def force_to_zero(mask: Sequence[torch.Tensor]) -> Callback:
    """A callback that forces activations to zero: what zeroed weights must be equivalent to.

    Args:
        mask: for each watched block the indices of its neurons to force.
    """

    def callback(
        block_index: int, activations: torch.Tensor, rows: torch.Tensor | None, columns: slice
    ) -> torch.Tensor | None:
        chosen = mask[block_index]
        within = chosen[(chosen >= columns.start) & (chosen < columns.stop)] - columns.start
        return activations.index_fill(-1, within.to(activations.device), 0)

    return callback


def _dense_hook(index: int, callback: Callback) -> Callable[[nn.Module, tuple[Any, ...]], Any]:
    def hook(module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...] | None:
        activations = arguments[0]
        # Convolutions keep their channels, which are the neurons, in front of the picture's axes.
        channels_first = isinstance(module, (nn.Conv1d, nn.Conv2d))
        last = activations.movedim(1, -1) if channels_first else activations
        neurons = last.shape[-1]
        changed = callback(index, last.reshape(-1, neurons), None, slice(0, neurons))
        if changed is None:
            return None
        changed = changed.view(last.shape)
        if channels_first:
            # In the same memory format: in another one a convolution may be computed, and rounded, in another way.
            changed = torch.empty_like(activations).copy_(changed.movedim(-1, 1))
        return (changed, *arguments[1:])

    return hook
