"""MIP-Editor as the registry knows it; torch is imported when an edit is made."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from lmms_manu.errors import DataError, SettingError
from lmms_manu.methods.base import Edit, Method
from lmms_manu.methods.control import CONTROL
from lmms_manu.methods.mip_editor.config import NAME, MipEditorSettings
from lmms_manu.methods.record import Value
from lmms_manu.models.settings import ModelSettings

if TYPE_CHECKING:
    from lmms_manu.costs.demands import Demands, SampleCounts
    from lmms_manu.costs.sizes import ModelSizes
    from lmms_manu.measuring.parts import Parts
    from lmms_manu.methods.data import UnlearningData
    from lmms_manu.models.loading import Checkpoint

_CITATION = "The method is MIP-Editor (AAAI 2026, arXiv 2511.06793), built from its description."


class MipEditor(Method[MipEditorSettings]):
    """The method `mip_editor` of the registry: paths of influential neurons, and misdirection through them alone."""

    name = NAME
    config_class = MipEditorSettings
    label_fields = ("recipe", "epochs")
    strength = "epochs"
    strengths = (1, 2, 4)

    def variant(self) -> dict[str, Value]:
        """Recipe, ablation and epochs, and the settings that differ from the recipe's."""
        config = self.config
        found: dict[str, Value] = {"recipe": config.recipe}
        if config.ablation != "full":
            found["ablation"] = f"{config.ablation} {config.seed}" if config.ablation == "random" else config.ablation
        if config.edits:
            assert config.epochs is not None
            found["epochs"] = config.epochs
        for name, value in config.deviations().items():
            if name != "epochs":
                found[name] = f"{name}={value}" if isinstance(value, str) else value
        return {**found, **(CONTROL if config.random_control else {})}

    def description(self) -> str:
        config = self.config
        whom = (
            "people drawn at random from those to retain, as a control,"
            if config.random_control
            else "the people to forget"
        )
        which = {
            "random": "Neurons of MLP blocks drawn at random, as many of each layer as lie on paths, were edited",
            "activation": f"Neurons of MLP blocks that are most active in answers about {whom} were edited",
            "all_parameters": "All weights were edited",
        }.get(config.ablation, f"Neurons of MLP blocks on the paths of answers about {whom} were edited")
        how = {
            "no_edit": "their weights were set to zero, and nothing was trained.",
            "no_misdirection": "they were fine-tuned on the people to retain.",
        }.get(
            config.ablation if config.edits else "no_edit",
            "they were trained until a layer's hidden states in these answers pointed elsewhere, while those in "
            "answers about the others were held.",
        )
        return f"{which}: {how} {_CITATION}"

    def check(self, model: ModelSettings, *, export: bool) -> None:
        # Imported here: torch, which a refusal of arguments needs none of.
        from lmms_manu.models.loading import is_text_only, model_without_weights
        from lmms_manu.training.trained_weights import language_layers

        if self.config.ablation == "vision_path" and is_text_only(model):
            raise SettingError("ablation=vision_path: this model has no vision tower. Use ablation=language_path.")
        if (shapes := model_without_weights(model)) is not None:
            self.config.layer(len(language_layers(shapes)))

    def check_data(self, data: UnlearningData) -> None:
        config = self.config
        needed = "multimodal" if config.ablation == "vision_path" else "text"
        if config.finds_paths and not data.forget.get(needed):
            raise DataError(
                f"There is no {needed} sample to forget, along whose path method={NAME} edits: use samples of both "
                "kinds, or ablation=language_path or vision_path where there is one kind."
            )

    def check_loaded(self, checkpoint: Checkpoint, *, export: bool) -> None:
        from lmms_manu.methods.mip_editor.edit import check_model

        check_model(checkpoint, self.config)

    def demands(self, sizes: ModelSizes, samples: SampleCounts) -> Demands:
        from lmms_manu.costs.demands import Demands, training

        config = self.config
        assert config.points is not None
        assert config.path_width is not None
        found = Demands()
        if config.finds_paths:
            seen = sizes.vision.layers if sizes.vision is not None else 0
            # As many copies of a sample are in memory at once as there is room for.
            times = samples.forget * config.points
            found = Demands(paths=times * sizes.language.layers, pictured_paths=times * seen)
        if not config.edits:
            return found
        settings = config.training(samples.forget, samples.retain)
        tuned = training(sizes, settings, samples.forget, retain=True, reference=True)
        if config.finds_paths and tuned.trained is not None:
            # The chosen neurons are trained, and nothing else.
            tuned = dataclasses.replace(tuned, trained=dataclasses.replace(tuned.trained, bytes=0, sharded=False))
        return found.beside(tuned)

    def edit(self, checkpoint: Checkpoint, examples: Parts | None) -> Edit:
        from lmms_manu.methods.mip_editor.edit import edit

        assert examples is not None
        return edit(checkpoint, examples, self.config)
