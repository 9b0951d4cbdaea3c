"""The search for the path of a sample: greedy, from the first layer of a tower to the last.

path of a sample
    one pass without gradients: the activations z of every layer
    for each layer
        one pass over m copies of the sample: in copy k the path's activations so far, and those of all neurons of the
        layer, are k/m of z; the gradient of the answer's probability at these activations and at no weight
        the score of the path with each neuron of the layer; the best join the path

Only which neurons won is kept: a count per neuron, whatever the number of samples.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lmms_manu.errors import ModelError, first_line
from lmms_manu.measuring.gathering import PerNeuron, Values
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.rendered import RenderedExample
from lmms_manu.measuring.statistics import Statistic
from lmms_manu.memory import is_out_of_memory, release_memory
from lmms_manu.methods.mip_editor.interventions import Recording
from lmms_manu.methods.mip_editor.scores import PathSums, points_of, scores, slopes, spread
from lmms_manu.models.blocks import MlpBlock
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint
from lmms_manu.models.watch import watch
from lmms_manu.training.answers import Answers, Asker
from lmms_manu.training.examples import Batch, Examples

ON_PATHS = Statistic("on_paths", "sum")
"""Of how many samples' paths a neuron is."""

Target = Literal["probability", "log_probability", "cross_entropy"]


@dataclasses.dataclass(frozen=True)
class Search:
    """How paths are searched.

    Args:
        target: F, whose gradients are taken.
        squared: whether their squares count.
        width: neurons of each layer on a path.
        points: of each integral.
        quadrature: where they lie.
        positions: the tokens that count.
        together: whether the neurons of a layer are scaled at once.
        trained_tokens: the tokens that F is of.
    """

    target: Target
    squared: bool
    width: int
    points: int
    quadrature: str
    positions: str
    together: bool
    trained_tokens: str

    def wanted(self, answers: Answers, before: Tensor) -> Tensor:
        """The sum over the copies of a sample of F, or of a positive multiple that is the same for all; a scalar.

        A probability is taken relative to that of the sample as it is, since that of a long answer is no number that
        float32 could hold, and which neuron is best does not depend on it.
        """
        if self.target == "log_probability":
            return answers.log_probs.sum()
        if self.target == "cross_entropy":
            return -(answers.log_probs / answers.lengths).sum()
        share = (answers.log_probs.detach().double() - before).exp()
        return (share * answers.log_probs).sum()


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A sample and a batch of its copies.

    Args:
        examples: a set that holds it.
        modality: the set's.
        place: in the set.
        label: names it.
        copies: as many as there are points.
    """

    examples: Examples
    modality: str
    place: int
    label: str
    copies: Batch


@dataclasses.dataclass(frozen=True)
class Known:
    """What a sample looks like as it is.

    Args:
        activations: of every block.
        before: the log-probability of its trained tokens, `[1]`, float64.
    """

    activations: Recording
    before: Tensor


class PathRunner:
    """Finds the paths of samples in one tower; what it leaves behind is how many of them each neuron is on.

    Args:
        checkpoint: the model; its weights take no gradients while a path is searched.
        blocks: those of one tower.
        search: how.
        modality: of the samples.
    """

    def __init__(self, checkpoint: Checkpoint, blocks: Sequence[MlpBlock], search: Search, modality: str) -> None:
        self.blocks = tuple(blocks)
        self.gathering = PerNeuron(NeuronLayout.of(blocks), (ON_PATHS,))
        self._checkpoint = checkpoint
        self._encoder = PromptEncoder(checkpoint)
        self._asker = Asker(checkpoint.model, checkpoint.device)
        self._search = search
        self._modality = modality
        self._most = search.points
        # Fast tokenizers refuse to be used by two threads at once.
        self._encoding = threading.Lock()

    def encode(self, examples: Sequence[RenderedExample]) -> list[Prepared]:
        """The samples, each with a batch of its copies; one whose picture cannot be read is left out."""
        with self._encoding:
            own = Examples(
                self._checkpoint,
                self._encoder,
                {self._modality: examples},
                self._search.trained_tokens,
                "the samples whose paths are searched",
            )
            return [
                Prepared(
                    own,
                    self._modality,
                    place,
                    each.rendered.label,
                    own.batch(self._modality, [place] * min(self._most, self._search.points)),
                )
                for place, each in enumerate(own.by_modality[self._modality])
            ]

    def run(self, batch: Sequence[Prepared]) -> Values:
        """How many of the samples' paths each neuron of each block is on, `[1, neurons]` a block."""
        found = [self.gathering.empty(number) for number in range(len(self.blocks))]
        for sample in batch:
            for number, chosen in enumerate(self.path(sample)):
                found[number][0, chosen] += 1
        return found

    def path(self, sample: Prepared) -> list[Tensor]:
        """The neurons of each block on the sample's path, in the order of the blocks.

        Raises:
            ModelError: a gradient is not a number, a single copy does not fit into memory, or copies cannot be told
                apart.
        """
        while True:
            try:
                with _without_weight_gradients(self._checkpoint.model):
                    return self._path(sample)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self._most == 1:
                    raise ModelError(
                        f"Out of memory while the path of {sample.label} was searched ({first_line(error)})."
                    ) from error
                self._most = (self._most + 1) // 2
            release_memory()

    def _path(self, sample: Prepared) -> list[Tensor]:
        points = points_of(self._search.points, self._search.quadrature)
        cut = points.split(self._most)
        pieces = [(piece, self._copies(sample, len(piece))) for piece in cut]
        known = self._measure(sample)
        # Some layers read pictures alone: no text has a path through them.
        path = {number: torch.empty(0, dtype=torch.long) for number in range(len(self.blocks))}
        for step in self._steps(known.activations):
            widths = [self.blocks[number].neurons for number in step]
            best = torch.cat([self._scores(step, candidates, path, known, pieces) for candidates in self._sets(widths)])
            if not bool(best.isfinite().all()):
                raise ModelError(
                    f"The gradient of the answer of {sample.label} at {self.blocks[step[0]].name} is NaN or infinite: "
                    "the dtype is too narrow for this model (try dtype=bfloat16 or float32)."
                )
            # On the CPU and in a stable order, so that equal scores give the same neurons everywhere.
            order = best.cpu().sort(descending=True, stable=True).indices[: self._search.width].sort().values
            start = 0
            for number, width in zip(step, widths, strict=True):
                inside = order[(order >= start) & (order < start + width)] - start
                path[number] = inside
                start += width
        return [path[number] for number in range(len(self.blocks))]

    def _steps(self, activations: Recording) -> Iterator[list[int]]:
        """The blocks of each layer through which the sample goes, whose neurons are candidates together."""
        for own in self.gathering.layout.layers.values():
            if reached := [number for number in own if activations.reached(number)]:
                yield reached

    def _sets(self, widths: Sequence[int]) -> Iterator[list[Tensor | None]]:
        """The candidates of a layer that are scaled at the same time: indices in each block, None for all."""
        if self._search.together:
            yield [None] * len(widths)
            return
        for place, width in enumerate(widths):
            for neuron in range(width):
                yield [
                    torch.tensor([neuron] if other == place else [], dtype=torch.long) for other in range(len(widths))
                ]

    def _copies(self, sample: Prepared, number: int) -> Batch:
        if len(sample.copies.names) == number:
            return sample.copies
        with self._encoding:
            return sample.examples.batch(sample.modality, [sample.place] * number)

    def _measure(self, sample: Prepared) -> Known:
        batch = self._copies(sample, 1) if self._search.points > 1 else sample.copies
        recording = Recording(self.blocks, batch, self._search.positions)
        with torch.no_grad(), watch(self._checkpoint.model, self.blocks, recording):
            answers = self._asker(batch)
        return Known(recording, answers.log_probs.detach().double())

    def _scores(
        self,
        step: Sequence[int],
        candidates: Sequence[Tensor | None],
        path: dict[int, Tensor],
        known: Known,
        pieces: Sequence[tuple[Tensor, Batch]],
    ) -> Tensor:
        """The scores of the path with each candidate, `[candidates]`."""
        earlier = [number for number, neurons in path.items() if len(neurons)]
        home = self._checkpoint.device
        sums: dict[int, Tensor] = {}
        for points, batch in pieces:
            scaled = known.activations.scaled(points, batch, {**path, **dict(zip(step, candidates, strict=True))})
            with torch.enable_grad(), watch(self._checkpoint.model, self.blocks, scaled):
                wanted = self._search.wanted(self._asker(batch), known.before.to(home))
            for number, gradient in scaled.gradients(wanted).items():
                own = slopes(gradient.to(home), squared=self._search.squared) * (len(points) / self._search.points)
                sums[number] = sums[number] + own if number in sums else own
        rows = len(known.activations.of(step[0]))
        so_far = PathSums(torch.zeros(rows, device=home), torch.zeros(rows, device=home))
        for number in earlier:
            z = known.activations.of(number).to(home)[:, path[number].to(home)].float().sum(1)
            so_far = PathSums(so_far.activations + spread(z, rows), so_far.slopes + spread(sums[number].sum(1), rows))
        found = []
        for number, chosen in zip(step, candidates, strict=True):
            z = known.activations.of(number).to(home)
            z = z if chosen is None else z[:, chosen.to(z.device)]
            if z.shape[1]:
                found.append(scores(so_far, z, sums[number]))
        return torch.cat(found)


@contextlib.contextmanager
def _without_weight_gradients(model: nn.Module) -> Iterator[None]:
    """No weight takes a gradient within the context, so that none is computed for any."""
    taking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in taking:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in taking:
            parameter.requires_grad_(True)
