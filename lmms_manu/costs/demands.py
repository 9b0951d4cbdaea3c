"""What a method does with a model, as far as it takes time and memory; each method says it of itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import nn

from lmms_manu.costs.sizes import ModelSizes
from lmms_manu.measuring.pairs import AT_HAND, bytes_of
from lmms_manu.measuring.statistics import MOMENTS
from lmms_manu.models.blocks import MlpBlock
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.trained_weights import adapted_layers, chosen_parameters

_FLOAT64, _FLOAT32 = 8, 4

_OPTIMISER = 3 * _FLOAT32
"""The gradient of a trained number and the two that AdamW keeps."""


@dataclasses.dataclass(frozen=True)
class SampleCounts:
    """How many samples there are of each modality in each set."""

    forget: int
    retain: int

    @property
    def all(self) -> int:
        return self.forget + self.retain


@dataclasses.dataclass(frozen=True)
class TrainedPart:
    """What is trained.

    Args:
        bytes: of all that belongs to it beside the model's own weights: values, gradients, what the optimiser keeps.
        adapters: whether adapters are trained rather than the weights themselves.
        checkpointing: whether activations are computed twice rather than kept.
        sharded: whether it may lie in shards over several cards, the model's weights with it.
    """

    bytes: int
    adapters: bool
    checkpointing: bool = False
    sharded: bool = False


@dataclasses.dataclass(frozen=True)
class Demands:
    """What an edit takes.

    Args:
        forward: samples that go through the model forwards alone: so many with pictures, and as many as text.
        backward: the same for those that go forwards and back.
        paths: samples as text that go forwards and back.
        pictured_paths: the same with pictures.
        at_once: samples in a batch.
        trained: what is trained; None for nothing.
        kept: bytes beside the model on its devices.
        host: bytes in the machine's memory.
        solving: operations in float64.
    """

    forward: float = 0.0
    backward: float = 0.0
    paths: float = 0.0
    pictured_paths: float = 0.0
    at_once: int = 1
    trained: TrainedPart | None = None
    kept: int = 0
    host: int = 0
    solving: float = 0.0

    def at_once_on_each(self, cards: int) -> int:
        """Samples of a batch on each card: one that is learnt from is shared out, each measures batches of its own."""
        return self.at_once if self.trained is None else -(-self.at_once // cards)

    def beside(self, other: Demands) -> Demands:
        """Both, one after the other."""
        return Demands(
            forward=self.forward + other.forward,
            backward=self.backward + other.backward,
            paths=self.paths + other.paths,
            pictured_paths=self.pictured_paths + other.pictured_paths,
            at_once=max(self.at_once, other.at_once),
            trained=self.trained or other.trained,
            kept=max(self.kept, other.kept),
            host=max(self.host, other.host),
            solving=self.solving + other.solving,
        )


def measuring(sizes: ModelSizes, samples: float, batch: int, statistics: int = len(MOMENTS)) -> Demands:
    """Statistics of every neuron over so many samples of each modality."""
    # The sums of a shard and those of a batch; those of whole parts lie in the machine's memory.
    return Demands(forward=samples, at_once=batch, kept=AT_HAND * statistics * sizes.neurons * _FLOAT64)


def second_moments(
    blocks: Sequence[MlpBlock],
    samples: float,
    batch: int,
    budget: int,
    *,
    parts: int = 4,
    eigenvectors: bool = False,
) -> Demands:
    """Second moments of all blocks, as many at a time as a budget of bytes allows, and a system solved in each.

    Args:
        blocks: the blocks, with their down projections.
        samples: of each modality.
        batch: samples at once.
        budget: bytes for the values of the blocks that are measured at a time.
        parts: sets and modalities.
        eigenvectors: whether those of the system are computed.
    """
    each = [bytes_of(block, parts) for block in blocks]
    rounds = max(1, -(-sum(each) // max(budget, max(each))))
    widest = max(block.neurons_per_expert for block in blocks)
    # A Cholesky factor, the right side, and a solution with as many columns as features, of about half the neurons; for
    # eigenvectors two solutions with as many as neurons, and about nine products.
    share = 1 / 3 + (1 + 2 + 9 if eigenvectors else 1 + 1)
    operations = sum(max(block.experts, 1) * share * block.neurons_per_expert**3 for block in blocks)
    host = min(sum(each), max(budget, max(each)))
    # A card holds what is at hand; later the moments of both sets, system and factor, and four of half their width, or
    # the eigenvectors, what they are of, and room to find them.
    at_hand, solving = host * AT_HAND // (parts + AT_HAND), (9 if eigenvectors else 6) * _FLOAT64 * widest**2
    return Demands(forward=samples * rounds, at_once=batch, kept=max(at_hand, solving), host=host, solving=operations)


def training(sizes: ModelSizes, settings: TrainingSettings, learn: float, *, retain: bool, reference: bool) -> Demands:
    """A training.

    Args:
        sizes: of the model.
        settings: the training's.
        learn: samples of each modality that an epoch goes through.
        retain: whether as many to retain stand beside them.
        reference: whether the model as it was is asked as well.
    """
    passes = learn * settings.epochs * (2 if retain else 1)
    # The reference of adapters is the model without them; another one does not lie in shards.
    sharded = settings.tuning == "lora" or not reference
    return Demands(
        forward=passes if reference else 0.0,
        backward=passes,
        at_once=settings.train_batch_size,
        trained=dataclasses.replace(trained_part(sizes, settings), sharded=sharded),
    )


def trained_part(sizes: ModelSizes, settings: TrainingSettings) -> TrainedPart:
    """What a training with these settings trains."""
    if settings.tuning == "full":
        numbers = sum(sizes.model.get_parameter(name).numel() for name in chosen_parameters(sizes.model, settings))
        # The model's own weights become float32, the original ones stay, and in half precision each pass has a copy.
        half = sizes.dtype.itemsize == 2
        each = _FLOAT32 + _OPTIMISER + (sizes.dtype.itemsize if half else 0)
        return TrainedPart(numbers * each, adapters=False, checkpointing=settings.gradient_checkpointing)
    layers = [sizes.model.get_submodule(name) for name in adapted_layers(sizes.model, settings)]
    numbers = sum(
        settings.lora_rank * (layer.in_features + layer.out_features)
        for layer in layers
        if isinstance(layer, nn.Linear)
    )
    return TrainedPart(numbers * (_FLOAT32 + _OPTIMISER), adapters=True, checkpointing=settings.gradient_checkpointing)
