"""The script that surveys every type of transformers for the documentation."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_SCRIPT = Path(__file__).parents[2] / "docs" / "generate_architectures.py"


def load_script() -> ModuleType:
    """The script as a module."""
    specification = importlib.util.spec_from_file_location(_SCRIPT.stem, _SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[module.__name__] = module
    specification.loader.exec_module(module)
    return module
