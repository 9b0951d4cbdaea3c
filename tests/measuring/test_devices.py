"""A model over several devices is measured where its blocks lie; the meta device stands for a card, without values."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from lmms_manu.measuring.collector import BatchCollector
from lmms_manu.measuring.gathering import PerNeuron, PerPair
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure_part import ShardState
from lmms_manu.models.blocks import MlpBlock

SAMPLES, TOKENS, NEURONS = 2, 50, 8
DEVICES = ("cpu", "meta", "meta", "cpu")
BLOCKS = tuple(
    MlpBlock(f"layers.{number}", "language", number, NEURONS, "plain", f"layers.{number}.down", ())
    for number in range(len(DEVICES))
)


class Moves(TorchDispatchMode):
    """Notes the numbers of all tensors that are copied from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        result = function(*arguments, **(named or {}))
        given = [tensor for tensor in (*arguments, *(named or {}).values()) if isinstance(tensor, torch.Tensor)]
        if isinstance(result, torch.Tensor):
            apart = [tensor for tensor in given if tensor.device != result.device and tensor.dim()]
            self.numbers += [tensor.numel() for tensor in apart]
        return result


@pytest.mark.parametrize("padding", [0, 7])
@pytest.mark.parametrize("of_neurons", [PerNeuron, PerPair])
def test_no_activation_leaves_its_device_and_statistics_move_once(of_neurons, padding):
    gathering = of_neurons(NeuronLayout.of(BLOCKS))
    empty = [gathering.empty(number) for number in range(len(BLOCKS))]
    state = ShardState(0, tuple(empty))
    attended = torch.ones(SAMPLES, TOKENS, dtype=torch.bool)
    attended[0, :padding] = False
    for batch in range(3):
        with Moves() as moves:
            inputs = {"input_ids": torch.zeros(SAMPLES, TOKENS)}
            collector = BatchCollector(BLOCKS, inputs, attended.flatten(), gathering, None, torch.float32)
            for number, device in enumerate(DEVICES):
                activations = torch.zeros(SAMPLES * TOKENS, NEURONS, device=device)
                collector(number, activations, None, slice(0, NEURONS))
            state = state.with_batch(gathering, collector.values())
        assert [values.device.type for values in state.values] == list(DEVICES)
        # The rows that count go to a device once a batch, and what is gathered once at all, while it is still empty.
        rows = [SAMPLES * TOKENS - padding] if padding else []
        gathered = [empty[number].numel() for number, device in enumerate(DEVICES) if device == "meta" and not batch]
        assert sorted(moves.numbers) == sorted([*rows, *gathered])
