"""Modality-aware neuron unlearning for multimodal models, measured with MLLMU-Bench in lmms-eval."""

from lmms_manu._version import __version__

__all__ = ["__version__"]
