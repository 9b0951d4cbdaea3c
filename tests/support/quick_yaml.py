"""The harness's task files read by libyaml.

Each start of the harness reads all its two thousand files with a parser in Python, which takes longer than all else
that a small evaluation does. This is the same loader on the parser in C that PyYAML brings along.
"""

from __future__ import annotations

from typing import Any

import yaml
from yaml.constructor import FullConstructor
from yaml.cyaml import CParser
from yaml.resolver import Resolver


class QuickLoader(CParser, FullConstructor, Resolver):
    """`yaml.FullLoader` with its constructors, those that are added later included, but for the parser."""

    def __init__(self, stream: Any) -> None:
        CParser.__init__(self, stream)
        FullConstructor.__init__(self)
        Resolver.__init__(self)
        # By which the harness finds the functions that a file names.
        self.name = getattr(stream, "name", "<text>")

    yaml_constructors = property(lambda self: yaml.FullLoader.yaml_constructors)  # type: ignore[assignment]
    yaml_multi_constructors = property(lambda self: yaml.FullLoader.yaml_multi_constructors)  # type: ignore[assignment]


def read_quickly() -> None:
    """Has this process read by libyaml whatever the harness reads."""
    yaml.full_load = lambda stream: yaml.load(stream, QuickLoader)
