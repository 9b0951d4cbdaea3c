"""Settings of MANU: which score, how much, and of which neurons."""

from __future__ import annotations

import dataclasses
import os
import typing
import warnings
from collections.abc import Collection
from typing import Literal

from lmms_manu.errors import SettingError
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.methods.places import layers_chosen
from lmms_manu.names import MODALITIES
from lmms_manu.settings import setting
from lmms_manu.sources import expanded, is_only_a_path

NAME = "manu"
MeasuredRecipe = Literal["paper", "released", "ratio", "invariant"]
Recipe = Literal[MeasuredRecipe, "random"]
RECIPES: tuple[Recipe, ...] = typing.get_args(Recipe)
COMPARING = ("paper", "invariant")
"""The recipes that compare what a neuron does with pictures and as text, and so need both."""

WEIGHTS = ("w_abs", "w_freq", "w_var", "w_rms")
_CHOOSING = ("recipe", "prune_rate", "scope", "uniform", "towers", "layers", "steps", *WEIGHTS, "seed", "random_like")

# Only their ratios matter, and no score may overflow.
_HEAVIEST = 1e6

# Below it a rate in percent looks like a share of one.
_SMALLEST_USUAL = 0.1


@dataclasses.dataclass(frozen=True)
class ManuSettings(MeasureSettings):
    """What MANU prunes, and how it measures.

    Raises:
        SettingError: a value that its field does not allow, or two that exclude each other.
    """

    recipe: Recipe = setting("paper", "The score that chooses the neurons.")
    prune_rate: float = setting(
        2.0, "Percent of the neurons to prune, the paper's alpha; 0 leaves the model as it is.", minimum=0, maximum=100
    )
    scope: Literal["auto", "global", "tower", "layer"] = setting(
        "auto",
        "Within what the prune rate is taken; `auto` is the recipe's own: `tower` for `released`, else `global`.",
    )
    uniform: bool = setting(
        False,
        "Takes the same number of neurons from every layer of a tower, those with its highest scores, and of the tower "
        "as many as without it, rounded down: what a checkpoint with `prune_mode=remove` needs.",
    )
    towers: Literal["both", "language", "vision"] = setting("both", "The towers whose neurons may be pruned.")
    layers: str = setting(
        "all", "The layers of each tower whose neurons may be pruned: `all`, `last4`, or such as `0-3+8`."
    )
    steps: int = setting(1, "Rounds of measuring and pruning that share the prune rate.", minimum=1)
    w_abs: float = setting(1.0, "Weight of the term of the mean magnitude.", minimum=0, maximum=_HEAVIEST)
    w_freq: float = setting(1.0, "Weight of the term of the frequency.", minimum=0, maximum=_HEAVIEST)
    w_var: float = setting(1.0, "Weight of the term of the variance.", minimum=0, maximum=_HEAVIEST)
    w_rms: float = setting(1.0, "Weight of the term of the root mean square.", minimum=0, maximum=_HEAVIEST)
    seed: int = setting(0, "Seed of the recipe `random`.", minimum=-(2**63), maximum=2**63 - 1)
    random_like: MeasuredRecipe | None = setting(
        None,
        "With the recipe `random`: prunes as many neurons of each layer as this recipe would, for a fair control.",
    )
    prune_mode: Literal["zero", "remove"] = setting(
        "zero",
        "`zero` sets the neurons' weights to zero; `remove` makes the matrices smaller, to the same effect.",
    )
    save_mask: str | None = setting(
        None, "File or folder that the mask of pruned neurons is written to.", effect="nothing"
    )
    mask: str | None = setting(
        None,
        "File, folder or hub name of a mask to apply without measuring, in place of all that chooses neurons.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not any(getattr(self, name) for name in WEIGHTS):
            raise SettingError(f"{', '.join(f'{name}=0' for name in WEIGHTS)}: at least one term needs a weight.")
        layers_chosen(self.layers, depth=0)
        if 0 < self.prune_rate < _SMALLEST_USUAL:
            warnings.warn(
                f"prune_rate={self.prune_rate:g} is in percent: one neuron in {100 / self.prune_rate:.0f}. If a share "
                f"was meant, it is prune_rate={100 * self.prune_rate:g}.",
                stacklevel=2,
            )
        if self.random_like is not None and self.recipe != "random":
            raise SettingError(f"random_like={self.random_like!r} needs recipe=random, not recipe={self.recipe}.")
        if self.random_like is not None and self.steps > 1:
            raise SettingError(
                f"random_like={self.random_like!r} with steps={self.steps} is not allowed: that recipe would measure "
                "its own pruned model in each round, and not this one. Use steps=1."
            )
        if self.save_mask is not None:
            path = os.path.expanduser(self.save_mask)
            if os.path.isfile(path) and not path.endswith(".safetensors"):
                raise SettingError(
                    f"save_mask={self.save_mask!r} is a file: name a folder, or a file that ends in .safetensors."
                )
            object.__setattr__(self, "save_mask", path)
            if self.prune_rate == 0 and self.mask is None:
                raise SettingError(
                    f"save_mask={self.save_mask!r} with prune_rate=0: nothing is pruned, so there is no mask to write. "
                    "Leave one of the two out."
                )
        self._check_mask()

    def _check_mask(self) -> None:
        if self.mask is None:
            return
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        idle = [f"{name}={value}" for name in _CHOOSING if (value := getattr(self, name)) != defaults[name]]
        if idle:
            raise SettingError(
                f"{', '.join(idle)} would have no effect beside mask={self.mask!r}, which says which neurons to prune: "
                f"leave {'them' if len(idle) > 1 else 'it'} out, or the mask."
            )
        if is_only_a_path(self.mask):
            path = expanded(self.mask)
            if not os.path.exists(path):
                raise SettingError(f"mask={self.mask!r}: there is no such file or folder.")
            object.__setattr__(self, "mask", path)

    @property
    def own_scope(self) -> Literal["global", "tower", "layer"]:
        """The scope, `auto` resolved: the released code takes its share of each tower."""
        if self.scope != "auto":
            return self.scope
        return "tower" if self.recipe == "released" else "global"

    @property
    def measured_recipe(self) -> MeasuredRecipe | None:
        """The recipe whose scores need statistics, None if none does."""
        return self.random_like if self.recipe == "random" else self.recipe


def for_modalities(settings: ManuSettings, modalities: Collection[str]) -> ManuSettings:
    """The settings for data of these modalities, of which text alone leaves the vision tower without a score.

    Raises:
        SettingError: the recipe compares modalities and not both are there, or only the vision tower may be pruned
            and there is no picture.
    """
    recipe = settings.measured_recipe
    missing = [modality for modality in MODALITIES if modality not in modalities]
    if recipe is None or not missing:
        return settings
    if recipe in COMPARING or "text" in missing:
        fitting = [name for name in typing.get_args(MeasuredRecipe) if name not in COMPARING]
        raise SettingError(
            f"recipe={recipe} compares what neurons do with pictures and as text, but there are no {missing[0]} "
            f"samples for this model: choose {' or '.join(fitting)}."
        )
    if settings.towers == "vision":
        raise SettingError(
            f"towers=vision with recipe={recipe}: without pictures the vision tower never runs. Use towers=language."
        )
    return dataclasses.replace(settings, towers="language")
