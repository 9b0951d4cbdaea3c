"""Where CLEAR is."""

from __future__ import annotations

from lmms_manu import variables
from lmms_manu.benchmarks.clear.names import CONFIGS
from lmms_manu.benchmarks.source import Source

HUB_NAME = "therem/CLEAR"


class ClearSource(Source):
    """A copy of CLEAR: a folder, or a name on the hub."""

    title = "CLEAR"
    hub_name = HUB_NAME
    variable = variables.CLEAR_DATASET
    configs = CONFIGS
