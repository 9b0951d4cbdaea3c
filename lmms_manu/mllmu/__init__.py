"""MLLMU-Bench (arXiv 2410.22108): its data, prompts, exemplars, measuring samples and scores, without a model."""

from lmms_manu.mllmu.exemplars import ProtocolSettings
from lmms_manu.mllmu.names import RATIOS, SPLITS, TASKS, Leaf, leaf_name
from lmms_manu.mllmu.prompts import IMAGE, Conversation, Pictures, Prompt
from lmms_manu.mllmu.samples import Sample, forget_ids, load_samples, retain_ids
from lmms_manu.mllmu.source import DatasetSource
from lmms_manu.names import MODALITIES

__all__ = [
    "IMAGE",
    "MODALITIES",
    "RATIOS",
    "SPLITS",
    "TASKS",
    "Conversation",
    "DatasetSource",
    "Leaf",
    "Pictures",
    "Prompt",
    "ProtocolSettings",
    "Sample",
    "forget_ids",
    "leaf_name",
    "load_samples",
    "retain_ids",
]
