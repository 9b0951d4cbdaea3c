"""Measuring the neurons of experts, all of a layer at once and expert by expert, against bare forward passes.

    python benchmarks/bench_experts.py [--rounds 5] [--samples 4] [--clock cpu]

Random Qwen3-VL-MoEs, their experts in grouped products: a tiny one, and one of 64 experts in each of six layers. The
ways are gone through in turn, so that a busy machine slows all alike; ratios are medians over rounds. Counted is also
how many operations each way hands to the device, which is what a GPU waits for where they are small. Ends with 1 if the
ways do not give the same statistics to the bit, or if all at once does not take fewer operations at 64 experts.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from random_llava import byte_tokenizer, rendered_examples
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    AutoModelForImageTextToText,
    Qwen2VLImageProcessor,
    Qwen3VLMoeConfig,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from lmms_manu.measuring.gathering import PerNeuron
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.runner import ActivationRunner
from lmms_manu.models.blocks import LANGUAGE, find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder, to_device
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.wrapping import wrap

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "moe_intermediate_size": 64, "num_experts": 8, "num_hidden_layers": 2},
    "mid": {"hidden_size": 512, "moe_intermediate_size": 256, "num_experts": 64, "num_hidden_layers": 6},
}
_MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


@dataclasses.dataclass(frozen=True)
class ExpertByExpert(PerNeuron):
    """The same gathering, which takes no experts together."""

    def add_groups(self, *given: Any) -> bool:
        return False


def random_model(size: str) -> Checkpoint:
    """A model of random weights with its processor."""
    torch.manual_seed(0)
    tokenizer = byte_tokenizer(*_MARKS)
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    marks = dict(zip(names, tokenizer.convert_tokens_to_ids(list(_MARKS)), strict=True))
    text: dict[str, Any] = {
        **SIZES[size],
        "vocab_size": 320,
        "intermediate_size": 128,
        "num_experts_per_tok": 8 if size == "mid" else 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 32,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]},
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    vision: dict[str, Any] = {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_heads": 2,
        "out_hidden_size": text["hidden_size"],
        "deepstack_visual_indexes": [0, 1],
    }
    model = AutoModelForImageTextToText.from_config(Qwen3VLMoeConfig(text_config=text, vision_config=vision, **marks))
    model.set_experts_implementation("grouped_mm")
    model.generation_config.update(pad_token_id=0, bos_token_id=1, eos_token_id=2)
    pictures: dict[str, Any] = {"size": {"shortest_edge": 32 * 32, "longest_edge": 64 * 64}}
    processor = Qwen3VLProcessor(Qwen2VLImageProcessor(**pictures), tokenizer, Qwen3VLVideoProcessor(**pictures))
    return wrap(model, processor, name=size)


class _Counter(TorchDispatchMode):
    """Counts the operations that reach the device."""

    number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.number += 1
        return func(*args, **(kwargs or {}))


def operations(work: Callable[[], object]) -> int:
    """How many operations a piece of work hands to the device."""
    with _Counter() as counter:
        work()
    return counter.number


def ways_of(checkpoint: Checkpoint, samples: int) -> tuple[dict[str, Callable[[], object]], list[torch.Tensor]]:
    """What is timed, and the statistics of the two ways to measure."""
    blocks = [block for block in find_mlp_blocks(checkpoint.model) if block.tower == LANGUAGE]
    layout, encoder = NeuronLayout.of(blocks), PromptEncoder(checkpoint)
    runners = {
        "together": ActivationRunner(checkpoint, encoder, blocks, PerNeuron(layout)),
        "one by one": ActivationRunner(checkpoint, encoder, blocks, ExpertByExpert(layout)),
    }
    batch = runners["together"].encode(rendered_examples(samples, pictured=False))

    def bare() -> None:
        inputs = to_device(batch.inputs, checkpoint.device, checkpoint.model.dtype)
        with torch.inference_mode():
            checkpoint.model(**inputs, use_cache=False, logits_to_keep=1)

    found = [runner.gathering.join(runner.run(batch)) for runner in runners.values()]
    return {"bare": bare, **{name: functools.partial(runner.run, batch) for name, runner in runners.items()}}, found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=tuple(SIZES))
    parser.add_argument("--clock", choices=_CLOCKS, default="wall", help="cpu on a busy machine")
    arguments = parser.parse_args(argv)
    now, fine = _CLOCKS[arguments.clock], True
    for size in arguments.sizes:
        ways, found = ways_of(random_model(size), arguments.samples)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.rounds):
            for name, way in ways.items():
                started = now()
                way()
                taken[name].append(now() - started)
        ratios = {
            name: statistics.median(own / bare for own, bare in zip(taken[name], taken["bare"], strict=True))
            for name in ways
        }
        equal = torch.equal(*found)
        count = {name: operations(way) for name, way in ways.items()}
        told = [f"{name} {ratio:.2f} of bare, {count[name]} operations" for name, ratio in ratios.items()]
        print(f"{size}: {'; '.join(told)}; the same bits: {equal}")
        fine &= equal and (size == "tiny" or count["together"] < count["one by one"])
    return int(not fine)


if __name__ == "__main__":
    sys.exit(main())
