"""Drawings of what a mask prunes and what statistics hold, as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from lmms_manu.errors import SettingError
from lmms_manu.files import atomic_path
from lmms_manu.measuring.parts import Part
from lmms_manu.methods.manu.distributions import distributions
from lmms_manu.methods.manu.inspection import NeuronInspection

if TYPE_CHECKING:  # an optional dependency
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which people with any colour vision can tell apart.
_COLOURS = {"forget": "#D55E00", "retain": "#0072B2"}
_STYLES = {"multimodal": "-", "text": "--"}


def draw(inspection: NeuronInspection, folder: Path, suffix: str = "png") -> list[Path]:
    """Draws pruned shares per layer and, for statistics, activation distributions (Figure 6 of the paper) and scores.

    Args:
        inspection: what to draw.
        folder: where the files go.
        suffix: `png`, `svg` or `pdf`.

    Returns:
        The files.

    Raises:
        SettingError: matplotlib is not installed.
    """
    drawings: dict[str, Callable[[Any, NeuronInspection], None]] = {"pruned-per-layer": _pruned_per_layer}
    if inspection.statistics is not None:
        drawings |= {"activations": _activations, "scores": _scores}
    return [_write(name, drawing, inspection, folder, suffix) for name, drawing in drawings.items()]


def _write(
    name: str, drawing: Callable[[Any, NeuronInspection], None], inspection: NeuronInspection, folder: Path, suffix: str
) -> Path:
    try:
        from matplotlib.figure import Figure  # optional: only drawings need it
    except ImportError as error:
        raise SettingError("--plot needs matplotlib: pip install 'lmms-manu[report]'.") from error
    towers = len(inspection.layout.per_layer(inspection.marked))
    figure = Figure(figsize=(5.5 * towers, 4), layout="constrained")
    axes = figure.subplots(1, towers, squeeze=False)[0]
    drawing(axes, inspection)
    path = folder / f"{name}.{suffix}"
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=suffix, dpi=150)
    return path


def _pruned_per_layer(axes: list[Axes], inspection: NeuronInspection) -> None:
    for axis, (tower, layers) in zip(axes, inspection.layout.per_layer(inspection.marked).items(), strict=True):
        shares = [100 * pruned / total if total else 0 for pruned, total in layers]
        axis.bar(range(len(shares)), shares, color=_COLOURS["forget"])
        axis.set_xticks(range(0, len(shares), max(1, len(shares) // 12)))
        _label(axis, f"{tower}: pruned neurons", "layer", "share of the layer, %")


def _activations(axes: list[Axes], inspection: NeuronInspection) -> None:
    """How many neurons have which mean |z|, on each part of the data."""
    assert inspection.statistics is not None  # drawn for statistics only
    found = distributions(inspection.statistics, inspection.marked)
    for axis, tower in zip(axes, inspection.layout.per_layer(inspection.marked), strict=True):
        _label(axis, f"{tower}: activations", "mean |z| of a neuron", "neurons")
        if tower not in found:
            continue
        for part, counts in found[tower].neurons.items():
            group, modality = Part.named(part)
            axis.stairs(
                counts,
                found[tower].edges,
                color=_COLOURS[group],
                linestyle=_STYLES[modality],
                label=f"{group}, {modality}",
            )
        axis.set_xscale("log")
        axis.legend()


def _scores(axes: list[Axes], inspection: NeuronInspection) -> None:
    """The scores in falling order, and where the pruned ones end."""
    assert inspection.choice is not None  # drawn for statistics only
    for axis, tower in zip(axes, inspection.layout.per_layer(inspection.marked), strict=True):
        inside = inspection.layout.towers[tower]
        scores, order = inspection.choice.scores[inside].sort(descending=True)
        pruned = inspection.marked[inside][order]
        positions = torch.arange(1, len(scores) + 1)
        for chosen, name in ((pruned, "forget"), (~pruned, "retain")):
            label = "pruned" if name == "forget" else "kept"
            axis.plot(
                positions[chosen].tolist(),
                scores[chosen].tolist(),
                ".",
                markersize=3,
                color=_COLOURS[name],
                label=label,
            )
        axis.set_yscale("symlog")
        axis.legend()
        _label(axis, f"{tower}: scores", "neurons, highest score first", "score")


def _label(axis: Axes, title: str, x: str, y: str) -> None:
    axis.set_title(title)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
