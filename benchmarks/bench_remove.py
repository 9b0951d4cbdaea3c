"""What `prune_mode=remove` saves: the time and size of a pruned model against the same model with zeroed weights.

The same random neurons are zeroed in one copy of a random LLaVA and removed from another; forward passes over the same
batch are timed in turn, so that a busy machine slows both alike. The logits of both are compared.

    python benchmarks/bench_remove.py [--rates 2 10 30] [--rounds 7] [--json FILE]
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from random_llava import rendered_examples, save_random_llava
from rich.console import Console
from rich.table import Table

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.remove import remove_neurons
from lmms_manu.editing.zero import zero_neurons
from lmms_manu.measuring.encoding import ExampleEncoder
from lmms_manu.models.blocks import MlpBlock, find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings


def random_mask(blocks: tuple[MlpBlock, ...], rate: float) -> NeuronMask:
    """A mask of `rate` percent of all neurons, drawn by a fixed seed."""
    sizes = [block.neurons for block in blocks]
    drawn = torch.randperm(sum(sizes), generator=torch.Generator().manual_seed(0))
    is_pruned = torch.zeros(sum(sizes), dtype=torch.bool)
    is_pruned[drawn[: int(rate / 100 * sum(sizes))]] = True
    return NeuronMask.of_blocks(blocks, [part.nonzero().flatten() for part in is_pruned.split(sizes)])


def forward(model: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, float]:
    """The logits and the seconds they took."""
    started = time.perf_counter()
    with torch.inference_mode():
        logits = model(**inputs, use_cache=False).logits
    return logits, time.perf_counter() - started


def compare(
    model: torch.nn.Module, inputs: Mapping[str, torch.Tensor], rate: float, rounds: int
) -> dict[str, float | int]:
    """Zeroed against removed at one prune rate."""
    zeroed, removed = copy.deepcopy(model), copy.deepcopy(model)
    blocks = find_mlp_blocks(model)
    mask = random_mask(blocks, rate)
    zero_neurons(zeroed, blocks, mask)
    remaining = remove_neurons(removed, blocks, mask)
    difference = (forward(zeroed, inputs)[0] - forward(removed, inputs)[0]).abs().max().item()
    pairs = [(forward(zeroed, inputs)[1], forward(removed, inputs)[1]) for _ in range(rounds)]
    return {
        "prune_rate": rate,
        "pruned": mask.count,
        "removed": sum(block.neurons for block in blocks) - sum(block.neurons for block in remaining),
        "parameters_m": round(sum(parameter.numel() for parameter in removed.parameters()) / 1e6, 1),
        "zeroed_s": round(statistics.median(first for first, _ in pairs), 3),
        "removed_s": round(statistics.median(second for _, second in pairs), 3),
        "time_ratio": round(statistics.median(second / first for first, second in pairs), 3),
        "largest_logit_difference": difference,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=[2, 10, 30])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the numbers there too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        settings = ModelSettings(pretrained=str(save_random_llava(Path(scratch))), device="cpu")
        checkpoint = load_checkpoint(settings)
        inputs = ExampleEncoder(PromptEncoder(checkpoint), question_lengths=False).encode(rendered_examples(4)).inputs
        rows = [compare(checkpoint.model, inputs, rate, arguments.rounds) for rate in arguments.rates]
        parameters = checkpoint.model.num_parameters()
    table = Table(title=f"removed against zeroed neurons, LLaVA of {parameters / 1e6:.1f} M random parameters")
    for head in ("prune rate", "pruned", "removed", "M left", "zeroed s", "removed s", "ratio", "logits"):
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*(f"{value:.1e}" if head.startswith("largest") else str(value) for head, value in row.items()))
    Console().print(table)
    result = {"benchmark": "remove", "torch": torch.__version__, "threads": torch.get_num_threads(), "rates": rows}
    print(json.dumps(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
