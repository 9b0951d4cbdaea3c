"""Options of a subcommand made from settings classes, so that both have the same names, defaults and checks."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable
from typing import Any

from lmms_manu.cli.parser import one_style
from lmms_manu.environment import rank_and_world
from lmms_manu.settings import Settings


def add_settings(
    parser: argparse.ArgumentParser, title: str, settings: type[Settings], without: Iterable[str] = ()
) -> None:
    """Adds an option for each field of `settings`, under a heading."""
    group = parser.add_argument_group(title)
    for field in dataclasses.fields(settings):
        if field.name in without:
            continue
        text = str(field.metadata["help"]).replace("%", "%%")
        if field.metadata["choices"]:
            text += f" One of {', '.join(str(choice) for choice in field.metadata['choices'])}."
        if field.default is not None:
            text += f" (default {field.default})"
        group.add_argument(one_style(f"--{field.name}"), dest=field.name, metavar=_placeholder(field), help=text)


def _placeholder(field: dataclasses.Field[Any]) -> str:
    """What stands for a value in the help: what kind it is of."""
    kinds = str(field.type).removesuffix(" | None")
    return {"int": "N", "float": "NUMBER", "bool": "TRUE|FALSE"}.get(kinds, "TEXT")


def given_settings(arguments: argparse.Namespace, *classes: type[Settings]) -> dict[str, Any]:
    """The options of these classes that the user gave, by name."""
    names = [name for settings in classes for name in settings.names()]
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name, None) is not None}


def join_processes() -> None:
    """Joins the other processes that torchrun has started, if it has."""
    if rank_and_world()[1] == 1:
        return
    import torch  # only here, so that a mistyped option is answered at once

    from lmms_manu.measuring.processes import LONGEST_WAIT

    if not torch.distributed.is_initialized():
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        torch.distributed.init_process_group(backend, timeout=LONGEST_WAIT)
