"""What a mask prunes and what statistics hold, layer by layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor

from lmms_manu.editing.mask import NeuronMask
from lmms_manu.errors import DataError
from lmms_manu.measuring.checked_tensors import DamagedFileError, load_description
from lmms_manu.measuring.layout import BlockEntry, NeuronLayout
from lmms_manu.measuring.neuron_statistics import NeuronStatistics
from lmms_manu.measuring.parts import SETS
from lmms_manu.methods.manu.config import ManuSettings, for_modalities
from lmms_manu.methods.manu.scope import Choice, choose, score
from lmms_manu.methods.manu.scores import Moments

UNKNOWN_TOWER = "unknown"


@dataclasses.dataclass(frozen=True)
class NeuronInspection:
    """What there is to show.

    Args:
        title: of the file.
        layout: which neuron is which.
        marked: the neurons that are pruned, or would be, `[neurons]`, bool.
        statistics: None for a mask.
        choice: the scores that the choice was made by; None for a mask.
        facts: what the file says of itself, by name.
    """

    title: str
    layout: NeuronLayout
    marked: Tensor
    statistics: NeuronStatistics | None
    choice: Choice | None
    facts: dict[str, Any]

    @property
    def is_decided(self) -> bool:
        """Whether it is a mask, whose neurons are chosen already."""
        return self.choice is None

    def tables(self) -> Iterator[Table]:
        """The facts, the pruned neurons by layer, and for statistics the activations by layer."""
        facts = Table(title=self.title, title_justify="left", show_header=False)
        for name, value in self.facts.items():
            facts.add_row(name, f"{value:.6g}" if isinstance(value, float) else str(value))
        yield facts
        yield self._pruned_table()
        if self.statistics is not None:
            yield self._activation_table(Moments.of(self.statistics))

    def _pruned_table(self) -> Table:
        table = Table(title="pruned neurons", title_justify="left")
        for head in ("tower", "layer", "pruned", "neurons", "share"):
            table.add_column(head, justify="left" if head == "tower" else "right")
        for tower, layers in self.layout.per_layer(self.marked).items():
            for layer, (pruned, total) in enumerate(layers):
                if total:
                    table.add_row(tower, str(layer), str(pruned), str(total), _share(pruned, total))
            pruned, total = (sum(counts) for counts in zip(*layers, strict=True))
            table.add_row(tower, "all", str(pruned), str(total), _share(pruned, total), end_section=True)
        return table

    def _activation_table(self, moments: Moments) -> Table:
        table = Table(title="mean |z| and share of |z| > tau, over the neurons of a layer", title_justify="left")
        table.add_column("tower")
        table.add_column("layer", justify="right")
        for group in SETS:
            for modality in moments.modalities:
                table.add_column(f"{group}\n{modality}", justify="right")
        rates = moments.rates()
        absolute, active = self.layout.split(rates.absolute), self.layout.split(rates.active)
        for (tower, layer), numbers in self.layout.layers.items():
            means = (torch.cat([parts[number] for number in numbers], -1).mean(-1) for parts in (absolute, active))
            cells = zip(*(mean.flatten().tolist() for mean in means), strict=True)
            table.add_row(tower, str(layer), *(f"{height:.4g}  {share:.1%}" for height, share in cells))
        return table


def inspect_file(source: str, settings: ManuSettings) -> NeuronInspection:
    """Reads a mask or statistics.

    Args:
        source: a file, the folder of a pruned checkpoint, or a hub name.
        settings: for statistics: which neurons would be pruned.

    Raises:
        DataError: the file is neither.
    """
    path = Path(source)
    if path.is_file() and _is_statistics(path):
        return of_statistics(source, NeuronStatistics.load(path), settings)
    return of_mask(source, NeuronMask.load(source))


def of_statistics(title: str, statistics: NeuronStatistics, settings: ManuSettings) -> NeuronInspection:
    """What statistics hold, and what a recipe would prune by them."""
    settings = for_modalities(settings, statistics.modalities)
    scores = score(statistics, settings) if settings.measured_recipe is not None else None
    choice = choose(statistics.layout, scores, settings)
    scope = f"{settings.own_scope}{', evened out over the layers' if settings.uniform else ''}"
    facts = {
        "checkpoint": statistics.about.get("checkpoint", ""),
        "samples": ", ".join(f"{count} {part}" for part, count in statistics.about.get("samples", {}).items()),
        "tokens": statistics.about.get("settings", {}).get("tokens", ""),
        "would be pruned by": f"{settings.recipe} at {settings.prune_rate:g} %, scope {scope}",
        **{name.replace("_", " "): value for name, value in choice.summary().items()},
    }
    return NeuronInspection(title, statistics.layout, choice.marked, statistics, choice, facts)


def of_mask(title: str, mask: NeuronMask) -> NeuronInspection:
    """What a mask prunes."""
    entries = mask.details.get("layout")
    if entries:
        layout = NeuronLayout.from_json(entries)
    else:
        # A mask made elsewhere does not say where its blocks stand: each is shown as a layer of its own.
        sizes = enumerate(mask.sizes.items())
        layout = NeuronLayout(tuple(BlockEntry(name, UNKNOWN_TOWER, layer, size) for layer, (name, size) in sizes))
    if {block.name: block.neurons for block in layout.blocks} != dict(mask.sizes):
        raise DataError(f"{title} contradicts itself about the blocks that it prunes.")
    record = mask.details.get("record", {})
    facts = {
        "checkpoint": record.get("checkpoint", ""),
        "recipe": record.get("recipe", ""),
        "prune rate": record.get("prune_rate", ""),
        "forget ratio": record.get("forget_ratio", ""),
        "fingerprint": mask.fingerprint,
        "weights": mask.weights,
    }
    return NeuronInspection(title, layout, layout.mark(mask.indices), None, None, facts)


def _is_statistics(path: Path) -> bool:
    try:
        about = load_description(path)
    except DamagedFileError:
        return False
    if "determinants" in about:
        raise DataError(
            f"{path} is a file of the cache, which holds statistics in parts: write all of them into one file with "
            "lmms-manu measure --output, and inspect that."
        )
    return "kind" in about


def _share(pruned: int, total: int) -> str:
    return f"{100 * pruned / total:.2f} %"
