"""MLLMU-Bench (arXiv 2410.22108): its data, prompts, exemplars, measuring samples and scores, without a model."""

from lmms_manu.benchmarks.mllmu.exemplars import ProtocolSettings
from lmms_manu.benchmarks.mllmu.fine_tuning_samples import FineTuningSample, forget_ids, load_samples, retain_ids
from lmms_manu.benchmarks.mllmu.names import RATIOS, SPLITS, TASKS, Leaf, leaf_name
from lmms_manu.benchmarks.mllmu.prompts import IMAGE, Conversation, Pictures, Prompt
from lmms_manu.benchmarks.mllmu.source import DatasetSource
from lmms_manu.names import MODALITIES

__all__ = [
    "IMAGE",
    "MODALITIES",
    "RATIOS",
    "SPLITS",
    "TASKS",
    "Conversation",
    "DatasetSource",
    "FineTuningSample",
    "Leaf",
    "Pictures",
    "Prompt",
    "ProtocolSettings",
    "forget_ids",
    "leaf_name",
    "load_samples",
    "retain_ids",
]
