"""Activations of a sample, read once and then put in the place of a model's own, scaled, to take gradients at them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lmms_manu.errors import ModelError
from lmms_manu.models.blocks import LANGUAGE, MlpBlock
from lmms_manu.training.examples import Batch

_DIFFERENT = 0.1
"""Relative distance of activations that rounding alone does not make."""


class Positions:
    """Which rows of a block's activations count, in a batch of copies of one sample.

    Args:
        batch: the copies, of one length.
        positions: `predicting`, `first` or `all`.
    """

    def __init__(self, batch: Batch, positions: str) -> None:
        self.copies = len(batch.names)
        self._kind = positions
        self._tokens = batch.inputs["input_ids"].shape[1]
        self._own = {
            "predicting": batch.columns[batch.rows == 0],
            "first": torch.zeros(1, dtype=torch.long),
            "all": torch.arange(self._tokens),
        }[positions]
        self._known: dict[tuple[str, int, torch.device], Tensor | None] = {}

    @property
    def tokens(self) -> int:
        """How many tokens of each copy count in the language model."""
        return len(self._own)

    def chosen(self, block: MlpBlock, rows: int, device: torch.device) -> Tensor | None:
        """The rows that count of so many, copy by copy, `[copies * positions]`; None for all.

        Raises:
            ModelError: the copies cannot be told apart.
        """
        key = (block.tower, rows, device)
        if key not in self._known:
            if rows % self.copies or (block.tower == LANGUAGE and rows != self.copies * self._tokens):
                raise ModelError(
                    f"{block.name} works on {rows} rows at once, which cannot be dealt to the samples of a batch: "
                    "no path can be searched in this model."
                )
            of_copy = rows // self.copies
            own = self._own if block.tower == LANGUAGE else torch.arange(1 if self._kind == "first" else of_copy)
            starts = torch.arange(self.copies) * of_copy
            every = (starts.unsqueeze(1) + own).flatten()
            self._known[key] = None if len(every) == rows else every.to(device)
        return self._known[key]

    def places(self, block: MlpBlock, device: torch.device) -> Tensor:
        """For each token of the batch its place among those that count, -1 for the others, `[copies * tokens]`."""
        rows = self.copies * self._tokens
        chosen = self.chosen(block, rows, device)
        if chosen is None:
            return torch.arange(rows, device=device)
        places = torch.full((rows,), -1, dtype=torch.long, device=device)
        places[chosen] = torch.arange(len(chosen), device=device)
        return places


class Recording:
    """The activations of one copy of a sample where they count; give it to `watch` as the callback.

    Args:
        blocks: the blocks that are watched.
        batch: the sample.
        positions: which of its tokens count.
    """

    def __init__(self, blocks: Sequence[MlpBlock], batch: Batch, positions: str) -> None:
        self._blocks = blocks
        self._kind = positions
        self._positions = Positions(batch, positions)
        self._found: dict[int, Tensor] = {}

    def __call__(self, index: int, activations: Tensor, rows: Tensor | None, columns: slice) -> None:
        block = self._blocks[index]
        if rows is None:
            chosen = self._positions.chosen(block, len(activations), activations.device)
            self._found[index] = activations.detach() if chosen is None else activations.detach()[chosen]
            return
        # An expert sees some of the tokens; to the others its neurons are silent.
        found = self._found.setdefault(index, activations.new_zeros(self._positions.tokens, block.neurons))
        own = self._positions.places(block, rows.device)[rows]
        found[own[own >= 0], columns] = activations.detach()[own >= 0]

    def reached(self, index: int) -> bool:
        """Whether the sample went through a block."""
        return index in self._found

    def of(self, index: int) -> Tensor:
        """The activations of a block that the sample went through, `[positions, neurons]`."""
        return self._found[index]

    def scaled(self, points: Tensor, batch: Batch, neurons: Mapping[int, Tensor | None]) -> Scaled:
        """What puts scaled activations in the place of the model's own.

        Args:
            points: the factor of each copy, `[copies]`.
            batch: the copies.
            neurons: by block the neurons that are scaled, None for all.
        """
        chosen = {index: own for index, own in neurons.items() if own is None or len(own)}
        z = {index: self.of(index) for index in chosen}
        return Scaled(self._blocks, Positions(batch, self._kind), points, z, chosen)


class Scaled:
    """Scaled activations in the place of a model's own; give it to `watch` as the callback.

    Args:
        blocks: the blocks that are watched.
        positions: the rows that count.
        points: the factor of each copy.
        activations: of the scaled blocks, `[positions, neurons]`.
        neurons: those that are scaled in each, None for all.

    Attributes:
        leaves: the scaled activations of each block, `[copies, positions, neurons]`.
    """

    def __init__(
        self,
        blocks: Sequence[MlpBlock],
        positions: Positions,
        points: Tensor,
        activations: Mapping[int, Tensor],
        neurons: Mapping[int, Tensor | None],
    ) -> None:
        self._blocks = blocks
        self._positions = positions
        self._measured = activations
        self._neurons = {
            index: None if own is None else own.to(activations[index].device) for index, own in neurons.items()
        }
        self.leaves: dict[int, Tensor] = {}
        for index, own in self._neurons.items():
            z = activations[index] if own is None else activations[index][:, own]
            factors = points.to(z.device, z.dtype).view(-1, 1, 1)
            self.leaves[index] = (factors * z).requires_grad_()

    def __call__(self, index: int, activations: Tensor, rows: Tensor | None, columns: slice) -> Tensor | None:
        if index not in self.leaves:
            return None
        leaf, own = self.leaves[index].flatten(0, 1), self._neurons[index]
        if rows is not None:
            return self._routed(index, activations, rows, columns)
        chosen = self._positions.chosen(self._blocks[index], len(activations), activations.device)
        if index == 0 and own is None:
            self._check_arrangement(activations if chosen is None else activations[chosen])
        if own is None:
            return leaf if chosen is None else activations.index_copy(0, chosen, leaf)
        if chosen is None:
            return activations.index_copy(1, own, leaf)
        return activations.index_put((chosen.unsqueeze(1), own), leaf)

    def gradients(self, wanted: Tensor) -> dict[int, Tensor]:
        """The gradients of a scalar at the scaled activations of each block, `[copies, positions, neurons]`."""
        leaves = list(self.leaves.values())
        found = torch.autograd.grad(wanted, leaves, allow_unused=True)
        # An expert that no copy was routed to has no part in the answer.
        return {
            index: torch.zeros_like(leaf) if own is None else own
            for (index, leaf), own in zip(self.leaves.items(), found, strict=True)
        }

    def _routed(self, index: int, activations: Tensor, rows: Tensor, columns: slice) -> Tensor:
        block, own = self._blocks[index], self._neurons[index]
        places = self._positions.places(block, rows.device)[rows]
        here = (places >= 0).nonzero().flatten()
        values = self.leaves[index].flatten(0, 1)[places[here]]
        if own is None:
            return activations.index_copy(0, here, values[:, columns])
        inside = ((own >= columns.start) & (own < columns.stop)).nonzero().flatten()
        if not len(inside) or not len(here):
            return activations
        return activations.index_put((here.unsqueeze(1), own[inside] - columns.start), values[:, inside])

    def _check_arrangement(self, activations: Tensor) -> None:
        """Raises unless the copies lie one after the other, as nothing before the first block tells them apart."""
        measured = self._measured[0].float()
        own = activations.detach().float().view(-1, *measured.shape)
        if float((own - measured).norm()) > _DIFFERENT * float(measured.norm()) * len(own) ** 0.5:
            raise ModelError(
                f"{self._blocks[0].name} mixes the samples of a batch, whose activations cannot be told apart: no path "
                "can be searched in this model."
            )
