"""Erase as the registry knows it; torch is imported when an edit is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmms_manu.errors import SettingError
from lmms_manu.methods.base import Edit, Method
from lmms_manu.methods.control import CONTROL
from lmms_manu.methods.erase.config import NAME, EraseSettings
from lmms_manu.methods.places import places_chosen
from lmms_manu.methods.record import Value
from lmms_manu.models.settings import ModelSettings

if TYPE_CHECKING:
    from lmms_manu.costs.demands import Demands, SampleCounts
    from lmms_manu.costs.sizes import ModelSizes
    from lmms_manu.measuring.parts import Parts
    from lmms_manu.models.loading import Checkpoint

_CITATION = (
    "Constrained least squares of this kind edit knowledge in MEMIT (Meng et al., ICLR 2023, arXiv 2210.07229) and "
    "concepts in UCE (Gandikota et al., WACV 2024, arXiv 2308.14761); see also LEACE (Belrose et al., NeurIPS 2023) "
    "and AlphaEdit (Fang et al., ICLR 2025)."
)


class Erase(Method[EraseSettings]):
    """The method `erase` of the registry: closed-form erasure in the down projections of both towers."""

    name = NAME
    config_class = EraseSettings
    label_fields = ("keep",)
    strength = "keep"
    strengths = (32, 16, 8, 4)

    def variant(self) -> dict[str, Value]:
        """The settings of the label, and those that differ from the defaults."""
        config, default = self.config, EraseSettings()
        found: dict[str, Value] = {"keep": config.keep}
        for name in ("directions", "ridge", "tokens", "target", "towers", "layers"):
            if getattr(config, name) != getattr(default, name):
                value = getattr(config, name)
                found[name] = f"{name}={value}" if isinstance(value, str) else value
        return {**found, **(CONTROL if config.random_control else {})}

    def description(self) -> str:
        whom = (
            "people drawn at random from those to retain, as a control,"
            if self.config.random_control
            else "the people to forget"
        )
        return (
            f"The down projections of MLP blocks were changed in closed form so that what {whom} put into them no "
            "longer comes out, and the outputs for others change little; nothing was trained. Knowledge that other "
            f"paths carry is still there. {_CITATION}"
        )

    def check(self, model: ModelSettings, *, export: bool) -> None:
        if self.config.towers != "vision":
            return
        # Imported here: commands that only check arguments would wait seconds for torch and transformers.
        from lmms_manu.models.loading import is_text_only

        if is_text_only(model):
            raise SettingError("towers=vision: this model has no vision tower. Use towers=language.")

    def check_loaded(self, checkpoint: Checkpoint, *, export: bool) -> None:
        from lmms_manu.methods.erase.edit import chosen_blocks

        chosen_blocks(checkpoint, self.config)

    def demands(self, sizes: ModelSizes, samples: SampleCounts) -> Demands:
        from lmms_manu.costs.demands import second_moments

        config = self.config
        blocks = [sizes.blocks[number] for number in places_chosen(sizes.blocks, config.towers, config.layers)]
        budget = int(config.memory_gib * 1024**3)
        few = bool(config.directions)
        return second_moments(blocks, samples.all, config.statistics_batch_size, budget, eigenvectors=few)

    def edit(self, checkpoint: Checkpoint, examples: Parts | None) -> Edit:
        from lmms_manu.methods.erase.edit import edit

        assert examples is not None
        return edit(checkpoint, examples, self.config)
