"""What a model's neurons do on the forget and the retain set: five sums per neuron, measured once and kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmms_manu.lazy import lazily

if TYPE_CHECKING:
    from lmms_manu.measuring.fingerprints import processor_fingerprint, weights_fingerprint
    from lmms_manu.measuring.layout import NeuronLayout
    from lmms_manu.measuring.neuron_statistics import NeuronStatistics
    from lmms_manu.measuring.parts import Part
    from lmms_manu.measuring.rendered import RenderedExample
    from lmms_manu.measuring.settings import MeasureSettings

__all__ = [
    "MeasureSettings",
    "NeuronLayout",
    "NeuronStatistics",
    "Part",
    "RenderedExample",
    "processor_fingerprint",
    "weights_fingerprint",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "MeasureSettings": "lmms_manu.measuring.settings",
        "NeuronLayout": "lmms_manu.measuring.layout",
        "NeuronStatistics": "lmms_manu.measuring.neuron_statistics",
        "Part": "lmms_manu.measuring.parts",
        "RenderedExample": "lmms_manu.measuring.rendered",
        "processor_fingerprint": "lmms_manu.measuring.fingerprints",
        "weights_fingerprint": "lmms_manu.measuring.fingerprints",
    },
)
