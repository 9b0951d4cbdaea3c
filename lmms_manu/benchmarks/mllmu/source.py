"""Where MLLMU-Bench is."""

from __future__ import annotations

from lmms_manu import variables
from lmms_manu.benchmarks.mllmu.names import CONFIGS
from lmms_manu.benchmarks.source import Source

HUB_NAME = "MLLMMU/MLLMU-Bench"


class DatasetSource(Source):
    """A copy of MLLMU-Bench: a folder, or a name on the hub."""

    title = "MLLMU-Bench"
    hub_name = HUB_NAME
    variable = variables.DATASET
    configs = CONFIGS
