"""Options of a subcommand made from settings classes, so that both have the same names, defaults and checks."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from lmms_manu.cli.parser import OptionParser, one_style
from lmms_manu.methods.base import Method
from lmms_manu.methods.registry import method_class
from lmms_manu.methods.settings import DEFAULT_METHOD, UnlearningSettings
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import Settings, choices_of, parse_arguments
from lmms_manu.variables import rank_and_world


def add_settings(
    parser: argparse.ArgumentParser, title: str, settings: type[Settings], without: Iterable[str] = ()
) -> None:
    """Adds an option for each field of `settings`, under a heading."""
    group = parser.add_argument_group(title)
    for field in dataclasses.fields(settings):
        if field.name not in without:
            name, text = one_style(f"--{field.name}"), _help(settings, field)
            group.add_argument(name, dest=field.name, metavar=_placeholder(field), help=text)


def add_swept_settings(
    parser: argparse.ArgumentParser, title: str, settings: type[Settings], without: Iterable[str] = ()
) -> None:
    """Adds an option for each field of `settings` that changes answers, which takes a list of values."""
    group = parser.add_argument_group(title)
    for field in dataclasses.fields(settings):
        if field.name in settings.names_with("answers") and field.name not in without:
            name, text = one_style(f"--{field.name}"), _help(settings, field)
            group.add_argument(name, dest=field.name, metavar="A,B,...", help=text)


def chosen_method(parser: argparse.ArgumentParser) -> type[Method[Any]]:
    """The method that the words of a command line name, by `--method` or among the model's arguments.

    It decides which options there are, so it is read before they are. The namespace gets its name as `chosen_method`.

    Raises:
        SettingError: there is no such method.
    """
    words: Sequence[str] = getattr(parser, "words", ())
    reader = OptionParser(add_help=False, allow_abbrev=False)
    reader.add_argument("--method")
    reader.add_argument("--model-args", default="")
    read = reader.parse_known_args(words)[0]
    method = method_class(read.method or parse_arguments(read.model_args).get("method", DEFAULT_METHOD))
    parser.set_defaults(chosen_method=method.name)
    return method


def add_method_settings(parser: argparse.ArgumentParser) -> None:
    """Adds the options of model, data and the method that the command line names; no other method's."""
    method = chosen_method(parser)
    add_settings(parser, "the model", ModelSettings)
    add_settings(parser, "the data", UnlearningSettings)
    add_settings(parser, f"the method {method.name}", method.config_class)


def _help(settings: type[Settings], field: dataclasses.Field[Any]) -> str:
    text = str(field.metadata["help"]).replace("%", "%%")
    if choices := choices_of(settings, field.name):
        text += f" One of {', '.join(map(str, choices))}."
    return text if field.default is None else f"{text} (default {str(field.default).replace('%', '%%')})"


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
