"""Settings: conversion, checks and the dealing of one table of arguments to several classes."""

import dataclasses
import math
from typing import Literal

import pytest

from lmms_manu.errors import SettingError
from lmms_manu.settings import Settings, from_arguments, markdown_table, parse_arguments, setting


@dataclasses.dataclass(frozen=True)
class Pruning(Settings):
    prune_rate: float = setting(2.0, "How much.", minimum=0, maximum=100)
    recipe: Literal["paper", "ratio"] = setting("paper", "Which score.")
    forget_ratio: Literal[5, 10, 15] | None = setting(5, "Whom.")


@dataclasses.dataclass(frozen=True)
class Loading(Settings):
    pretrained: str | None = setting(None, "Which weights.")
    trust_remote_code: bool = setting(False, "Whether code of the repository may run.")
    layers: int | str | None = setting(None, "Which layers.")


def test_values_typed_on_a_command_line_become_the_fields_types():
    pruning, loading = from_arguments(
        {"prune_rate": "10", "forget_ratio": "15", "trust_remote_code": "true", "pretrained": "a/b", "layers": "last"},
        Pruning,
        Loading,
    )
    assert (pruning.prune_rate, pruning.forget_ratio) == (10.0, 15)
    assert (loading.trust_remote_code, loading.pretrained, loading.layers) == (True, "a/b", "last")
    assert from_arguments({"layers": "3"}, Loading)[0].layers == 3
    assert from_arguments({"pretrained": "None"}, Loading)[0].pretrained is None
    assert from_arguments({" recipe ": " ratio"}, Pruning)[0].recipe == "ratio"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"prune_rat": 3}, ["prune_rat=3", "'prune_rate'"]),
        ({"prune_rate": 120}, ["prune_rate=120", "0 to 100"]),
        ({"prune_rate": math.nan}, ["prune_rate=nan", "0 to 100"]),
        ({"prune_rate": "many"}, ["prune_rate='many'", "a number"]),
        ({"forget_ratio": 7}, ["forget_ratio=7", "5, 10, 15"]),
        ({"forget_ratio": 5.5}, ["forget_ratio=5.5", "5, 10, 15"]),
        ({"recipe": "papr"}, ["recipe='papr'", "paper, ratio", "'paper'?"]),
        ({"trust_remote_code": "maybe"}, ["trust_remote_code='maybe'", "True or False"]),
    ],
)
def test_a_wrong_argument_is_refused_with_its_name_its_value_and_what_is_allowed(arguments, words):
    with pytest.raises(SettingError) as error:
        from_arguments(arguments, Pruning, Loading)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_settings_cannot_be_changed_after_they_were_checked():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Pruning().prune_rate = 500  # type: ignore[misc]  # which is what is tested


def test_a_line_of_arguments_is_read_as_the_harness_reads_it():
    assert parse_arguments("recipe=ratio, prune_rate=2") == {"recipe": "ratio", "prune_rate": "2"}
    assert parse_arguments("") == {}
    with pytest.raises(SettingError, match="name=value"):
        parse_arguments("recipe")


def test_the_table_shows_every_argument_with_its_default_and_choices():
    table = markdown_table(Pruning, Loading)
    assert "| `recipe` | `paper` | Which score. One of `paper`, `ratio`. |" in table
    assert all(f"`{name}`" in table for name in (*Pruning.names(), *Loading.names()))
