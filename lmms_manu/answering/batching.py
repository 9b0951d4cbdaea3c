"""How many prompts go into one batch, and what happens when it does not fit into memory."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch

from lmms_manu.memory import free_memory, within_memory
from lmms_manu.models.loading import Checkpoint

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

LARGEST = 64
_CPU_TOKENS = 16384
"""Tokens beyond which a larger batch gains nothing on a CPU."""
_CPU_TOKENS_READ = 2048
"""The same where prompts are only read. More at once cost: shorter ones are padded, and padding needs a mask, which has
attention look at later tokens too. Where answers are long, a step of many takes little more than one of a few."""
_MEMORY_SHARE = 0.5
_PICTURE_BYTES = 2 * 2**30
"""Inputs of pictures that are put together at once, outside of the device."""
_ACTIVATION_COPIES = 24
"""Hidden states that one token takes at the worst moment of a forward pass, in units of the model's width."""
_PATCH_COPIES = 8
"""The same of a patch in the vision tower, beside two copies of what is inside its MLP."""
_UNKNOWN_TOWER = 16.0
_EXPERTS_OF_A_TOKEN = ("num_experts_per_tok", "top_k_experts", "moe_topk", "moe_k")


@dataclasses.dataclass(frozen=True)
class Footprint:
    """Memory that a batch takes while it is answered.

    Args:
        cache: bytes in the key-value cache, for each token of prompt and answer.
        activations: bytes while the prompt is read, for each token that is not shared.
        pictures: bytes on the device, for each byte of the pictures' inputs, as if all of them were pixels in single
            precision.
        row: bytes for each prompt, however long.
    """

    cache: int
    activations: int
    pictures: float = 0.0
    row: int = 0

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Footprint:
        config = checkpoint.model.config.get_text_config()
        width = int(config.hidden_size)
        size = checkpoint.model.dtype.itemsize
        return cls(
            cache=_of_cache(config, width) * size,
            activations=_ACTIVATION_COPIES * width * size,
            pictures=_of_pictures(getattr(checkpoint.model.config, "vision_config", None), size),
            # Where each token has experts of its own, an accelerator copies their weights for each row.
            row=0 if checkpoint.device.type == "cpu" else _of_experts(config, width) * size,
        )


def _of_cache(config: Any, width: int) -> int:
    """How many numbers the key-value cache holds for one token."""
    # Layers may differ, as those of Gemma 4 do.
    layers = getattr(config, "per_layer_config", None) or [config] * config.num_hidden_layers
    numbers = 0
    for layer in layers:
        heads = getattr(layer, "num_key_value_heads", None) or layer.num_attention_heads
        numbers += 2 * heads * (getattr(layer, "head_dim", None) or width // layer.num_attention_heads)
    return numbers


def _of_pictures(config: Any, size: int) -> float:
    """Bytes that a vision tower takes for each byte of a picture's inputs, with numbers of `size` bytes."""
    width = next((own for name in ("embed_dim", "hidden_size") if (own := getattr(config, name, None))), None)
    patch = getattr(config, "patch_size", None)
    if not isinstance(width, int) or not isinstance(patch, int):
        return _UNKNOWN_TOWER
    inside = getattr(config, "intermediate_size", None) or int(getattr(config, "mlp_ratio", 4) * width)
    single = torch.float32.itemsize
    values = 3 * patch**2 * (getattr(config, "temporal_patch_size", None) or 1)
    return (2 * inside + _PATCH_COPIES * width) * size / (values * single) + size / single


def _of_experts(config: Any, width: int) -> int:
    """How many weights the experts of one token have in one layer."""
    experts = next((own for name in _EXPERTS_OF_A_TOKEN if (own := getattr(config, name, None))), 0)
    inside = getattr(config, "moe_intermediate_size", None) or 0
    return 3 * width * int(experts) * int(max(inside) if isinstance(inside, (list, tuple)) else inside)


def automatic_batch_size(
    footprint: Footprint,
    device: torch.device,
    *,
    shared: int = 0,
    own: int,
    new: int,
    pictures: Sequence[int],
    beside: int = 0,
    only_read: bool = False,
) -> int:
    """The number of prompts to answer at once.

    Args:
        footprint: of the model.
        device: where it runs.
        shared: tokens of the prompt that are computed once for all.
        own: tokens of the longest prompt that are not.
        new: the most tokens that an answer may have.
        pictures: bytes of the inputs of each prompt's own pictures, for as many prompts as there are.
        beside: bytes that each prompt takes beside what the footprint tells.
        only_read: whether at most a few tokens follow a prompt.
    """
    row = footprint.cache * (shared + own + new) + footprint.activations * own + footprint.row + beside
    room = int(_MEMORY_SHARE * free_memory(device))
    most = min(LARGEST, len(pictures))
    if device.type == "cpu":
        most = min(most, (_CPU_TOKENS_READ if only_read else _CPU_TOKENS) // max(own, 1))
    count = shown = 0
    while count < most:
        shown += pictures[count]
        if (count + 1) * row + footprint.pictures * shown > room or shown > _PICTURE_BYTES:
            break
        count += 1
    return max(1, count)


class HalvingBatches:
    """Runs items batch by batch; out of memory halves the batch for the items that follow and tries again."""

    def run(
        self,
        items: Sequence[Item],
        size: Callable[[Sequence[Item]], int],
        work: Callable[[Sequence[Item]], Sequence[Result]],
        label: Callable[[Item], str],
    ) -> Iterator[Sequence[Result]]:
        """Yields the results of one batch after the other.

        Args:
            items: what to work on, the largest first.
            size: the number of items to take at once, given the next ones, at most `LARGEST` of them.
            work: gives a result for each item of a batch.
            label: names an item in a message.

        Raises:
            ModelError: a single item does not fit into memory.
        """
        begin = 0
        fitting: int | None = None
        while begin < len(items):
            count = size(items[begin : begin + LARGEST])
            batch = items[begin : begin + (count if fitting is None else min(count, fitting))]
            results = within_memory(functools.partial(work, batch), _too_large(batch, label))
            if results is None:
                fitting = len(batch) // 2
                logger.warning("out of memory with %d prompts at once: going on with %d", len(batch), fitting)
                continue
            yield results
            begin += len(batch)


def _too_large(batch: Sequence[Item], label: Callable[[Item], str]) -> str | None:
    """What to say if a batch does not fit; None if it can be halved."""
    if len(batch) > 1:
        return None
    name = label(batch[0]).replace("{", "{{").replace("}", "}}")
    return (
        f"{name}: out of memory with this one prompt ({{error}}). Use a smaller dtype (dtype=bfloat16), a device with "
        "more memory, or device_map=auto."
    )
