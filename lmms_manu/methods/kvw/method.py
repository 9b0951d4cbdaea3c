"""Knowledge vector weakening as the registry knows it; torch is imported when an edit is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmms_manu.methods.base import Edit, Method
from lmms_manu.methods.control import CONTROL
from lmms_manu.methods.kvw.config import NAME, KvwSettings
from lmms_manu.methods.record import Value

if TYPE_CHECKING:
    from lmms_manu.costs.demands import Demands, SampleCounts
    from lmms_manu.costs.sizes import ModelSizes
    from lmms_manu.measuring.parts import Parts
    from lmms_manu.models.loading import Checkpoint


class Kvw(Method[KvwSettings]):
    """The method `kvw` of the registry: soft gates on the columns of the language model's down projections."""

    name = NAME
    config_class = KvwSettings
    strength = "strength"
    strengths = (1, 2, 4, 8)

    def variant(self) -> dict[str, Value]:
        """Recipe, strength, and the settings that differ from the defaults."""
        config, default = self.config, KvwSettings()
        found: dict[str, Value] = {"recipe": config.recipe, "strength": config.own_strength}
        for name in ("tokens", "from_depth", "to_depth", "modalities"):
            if getattr(config, name) != getattr(default, name):
                value = getattr(config, name)
                found[name] = f"{name}={value}" if isinstance(value, str) else value
        return {**found, **(CONTROL if config.random_control else {})}

    def description(self) -> str:
        chosen = (
            "drawn at random, as a control,"
            if self.config.random_control
            else "that answers about the people to forget use"
        )
        return (
            f"Columns of the language model's down projections {chosen} count less; nothing was trained, and no "
            "column is gone. The method is knowledge vector weakening (arXiv 2601.21794), built from its description."
        )

    def changes_nothing(self) -> bool:
        return self.config.own_strength == 0

    def check_loaded(self, checkpoint: Checkpoint, *, export: bool) -> None:
        from lmms_manu.methods.kvw.edit import chosen_blocks

        chosen_blocks(checkpoint, self.config)

    def demands(self, sizes: ModelSizes, samples: SampleCounts) -> Demands:
        from lmms_manu.costs.demands import measuring

        again = samples.forget if self.config.recipe == "released" else 0
        return measuring(sizes, samples.all + again, self.config.statistics_batch_size, statistics=2)

    def edit(self, checkpoint: Checkpoint, examples: Parts | None) -> Edit:
        from lmms_manu.methods.kvw.edit import edit

        assert examples is not None
        return edit(checkpoint, examples, self.config)
