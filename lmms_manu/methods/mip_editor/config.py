"""Settings of MIP-Editor: how paths are found, what is done with their neurons, and the ablations of its paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from lmms_manu.errors import SettingError
from lmms_manu.methods.control import CONTROL_HELP
from lmms_manu.settings import Settings, setting
from lmms_manu.training.settings import TrainingSettings

NAME = "mip_editor"

Ablation = Literal[
    "full",
    "language_path",
    "vision_path",
    "activation",
    "random",
    "no_edit",
    "no_misdirection",
    "all_parameters",
]
Quadrature = Literal["left", "middle", "right"]
Positions = Literal["predicting", "first", "all"]

OF_RECIPE: Mapping[str, Mapping[str, Any]] = {
    "paper": {
        "path_width": 5,
        "path_neurons": 512,
        "points": 20,
        "quadrature": "right",
        "positions": "predicting",
        "pruning": "before",
        "trained": "neurons",
        "trained_tokens": "answer",
        "steering": 5.0,
        "retain_weight": 1200.0,
        "epochs": 4.0,
        "learning_rate": 2e-5,
        "weight_decay": 0.0,
    },
    "released": {
        "path_width": 5,
        "path_neurons": 0,
        "points": 4,
        "quadrature": "left",
        "positions": "first",
        "pruning": "never",
        "trained": "inputs",
        "trained_tokens": "all",
        "steering": 10.0,
        "retain_weight": 1.0,
        "epochs": 1.0,
        "learning_rate": 5e-4,
        "weight_decay": 0.01,
    },
}
"""The values of the settings that differ between the recipes, by their names."""

_OF_PATHS = ("path_width", "path_neurons", "points", "quadrature", "positions", "candidates")
_OF_TUNING = (
    "pruning",
    "trained",
    "trained_tokens",
    "steering",
    "steered_layer",
    "retain_weight",
    "epochs",
    "learning_rate",
    "weight_decay",
    "train_batch_size",
)
_WITHOUT_PATHS = ("all_parameters",)
_RELEASED_LAYER = 7


@dataclasses.dataclass(frozen=True)
class MipEditorSettings(Settings):
    """Which neurons lie on the paths, and how they are edited.

    Settings that are left out and are None by default take the value of the recipe.

    Raises:
        SettingError: a value that its field does not allow, or two that exclude each other.
    """

    recipe: Literal["paper", "released"] = setting(
        "paper",
        "`paper` is the published description: the answer's probability and an adaptive target; `released` what the "
        "released code intends: cross-entropy, the first token, and a constant target.",
    )
    ablation: Ablation = setting(
        "full",
        "What is left out, as in the paper's table of ablations: one of the two paths alone (`language_path`, "
        "`vision_path`), paths in favour of as many neurons of each layer by their `activation` or at `random`, the "
        "editing (`no_edit` prunes the paths for good), misdirection in favour of fine-tuning on the retain set "
        "(`no_misdirection`), or the restriction to paths (`all_parameters`).",
    )
    path_width: int | None = setting(
        None, "Neurons of each layer on a sample's path: 5 in both recipes, 1 in the paper's Algorithm 1.", minimum=1
    )
    path_neurons: int | None = setting(
        None,
        "At most so many neurons of each tower are edited, those on the paths of the most samples first; 0 for all "
        "that are on any. 512 for `paper`, whose figure 4 has its best there, all for `released`.",
        minimum=0,
    )
    points: int | None = setting(
        None, "Points of each integral, the paper's m: 20 for `paper`, 4 for `released`.", minimum=1
    )
    quadrature: Quadrature | None = setting(
        None, "Where the points lie in their intervals: `right` for `paper`, `left` for `released`, or `middle`."
    )
    positions: Positions | None = setting(
        None,
        "The tokens whose activations are on a path in the language model: those `predicting` one of the answer for "
        "`paper`, the `first` one for `released`, or `all`; of the vision tower all patches, or the `first` one.",
    )
    candidates: Literal["together", "alone"] = setting(
        "together",
        "Whether all neurons of a layer are scaled at once, one backward pass a layer, or each `alone`, which takes as "
        "many passes as there are neurons.",
    )
    pruning: Literal["before", "never"] | None = setting(
        None,
        "`before`: what path neurons put out is zero when the editing starts, as for `paper`; `never`: they start as "
        "they are, as for `released`.",
    )
    trained: Literal["neurons", "inputs"] | None = setting(
        None,
        "The weights of path neurons that are trained: all of the `neurons` for `paper`, or their `inputs` for "
        "`released`, which are the rows of the up and gate projections.",
    )
    trained_tokens: Literal["answer", "all"] | None = setting(
        None, "The tokens whose hidden states are steered or held: the `answer` for `paper`, `all` for `released`."
    )
    steering: float | None = setting(
        None,
        "How long the target is: in lengths of the hidden states for `paper`, the paper's lambda, 5 as in adaptive "
        "RMU; for `released` the length itself, 10.",
        minimum=0,
    )
    steered_layer: int | None = setting(
        None,
        "The language layer whose output is steered, from 0; one at a fifth of the depth if left out, for `released` "
        f"layer {_RELEASED_LAYER}, or the last where there are fewer.",
        minimum=0,
    )
    retain_weight: float | None = setting(
        None,
        "What a sample to retain counts beside one to forget, the paper's gamma: 1200 for `paper`, as in adaptive RMU, "
        "1 for `released`.",
        minimum=0,
    )
    epochs: float | None = setting(
        None,
        "Passes of the editing over the samples to forget for `paper`, 4; for `released` over those to retain, 1, "
        "with as many to forget beside them.",
        minimum=0,
    )
    learning_rate: float | None = setting(
        None, "The highest learning rate: 2e-5 for `paper`, 5e-4 for `released`.", minimum=0
    )
    weight_decay: float | None = setting(None, "Weight decay of AdamW: 0 for `paper`, 0.01 for `released`.", minimum=0)
    train_batch_size: int = setting(4, "Samples of each set in a batch, over all processes together.", minimum=1)
    statistics_cache: bool = setting(True, "Keeps the paths for other settings of the editing.", effect="nothing")
    resume_every: int = setting(
        200, "Optimiser steps after which the state of the editing is kept; 0 keeps none.", minimum=0, effect="nothing"
    )
    random_control: bool = setting(False, CONTROL_HELP)
    seed: int = setting(
        0,
        "Seed of the random target, of the order of the samples, of random neurons and of the control's draw.",
        minimum=0,
        maximum=2**32 - 1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        given = {name for name in self.names() if getattr(self, name) != self._usual(name)}
        idle: tuple[str, ...] = ()
        if self.ablation in _WITHOUT_PATHS:
            idle = (*_OF_PATHS, "pruning", "trained")
        elif self.ablation == "no_edit":
            idle = _OF_TUNING
        elif self.ablation == "no_misdirection":
            idle = ("steering", "steered_layer", "retain_weight")
        if wrong := sorted(given & set(idle)):
            raise SettingError(
                f"{', '.join(f'{name}={getattr(self, name)}' for name in wrong)} would have no effect with "
                f"ablation={self.ablation}: leave {'them' if len(wrong) > 1 else 'it'} out."
            )
        for name, value in OF_RECIPE[self.recipe].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if self.epochs == 0 and self.edits:
            raise SettingError("epochs=0 edits nothing: ablation=no_edit prunes the paths alone, method=none nothing.")

    @classmethod
    def _usual(cls, name: str) -> Any:
        return next(field.default for field in dataclasses.fields(cls) if field.name == name)

    def deviations(self) -> dict[str, Any]:
        """The settings that change answers and differ from the recipe's, by name; without ablation, control and seed.

        The number of epochs, which tells runs apart in any case, is among them.
        """
        usual = {name: self._usual(name) for name in self.names()} | dict(OF_RECIPE[self.recipe])
        others = ("recipe", "ablation", "random_control", "seed")
        return {
            name: getattr(self, name)
            for name in self.names_with("answers")
            if name not in others and getattr(self, name) != usual[name]
        }

    @property
    def finds_paths(self) -> bool:
        """Whether any path is asked for."""
        return self.ablation not in _WITHOUT_PATHS

    @property
    def edits(self) -> bool:
        """Whether anything is trained; else the paths are pruned."""
        return self.ablation != "no_edit"

    def layer(self, depth: int) -> int:
        """The steered layer of a language model of so many.

        Raises:
            SettingError: there is no such layer.
        """
        if self.steered_layer is None:
            return depth // 5 if self.recipe == "paper" else min(_RELEASED_LAYER, depth - 1)
        if self.steered_layer >= depth:
            raise SettingError(
                f"steered_layer={self.steered_layer}: the language model has the layers 0 to {depth - 1}."
            )
        return self.steered_layer

    def training(self, forget: int, retain: int) -> TrainingSettings:
        """The settings of the editing as those of a training.

        Args:
            forget: how many samples there are to forget.
            retain: how many to retain.
        """
        assert self.epochs is not None
        assert self.learning_rate is not None
        assert self.weight_decay is not None
        # The loop's epochs are passes over what it learns from.
        passes = {"paper": forget, "released": retain}[self.recipe]
        learnt = retain if self.ablation == "no_misdirection" else forget
        return TrainingSettings(
            epochs=self.epochs * passes / learnt,
            learning_rate=self.learning_rate,
            train_batch_size=self.train_batch_size,
            weight_decay=self.weight_decay,
            max_grad_norm=0.0,
            tuning="full",
            parts="language+vision",
            trained_tokens=self.trained_tokens,
            resume_every=self.resume_every,
            seed=self.seed,
        )
