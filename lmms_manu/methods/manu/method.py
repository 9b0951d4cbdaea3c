"""MANU as the registry knows it: its settings, which need no torch, and the edit, which is imported when it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lmms_manu.errors import SettingError
from lmms_manu.methods.base import Edit, Inspection, Method
from lmms_manu.methods.manu.config import COMPARING, NAME, ManuSettings, for_modalities
from lmms_manu.methods.record import EditRecord, Value
from lmms_manu.models.settings import ModelSettings

if TYPE_CHECKING:
    from lmms_manu.costs.demands import Demands, SampleCounts
    from lmms_manu.costs.sizes import ModelSizes
    from lmms_manu.editing.changes import Change
    from lmms_manu.measuring.parts import Parts
    from lmms_manu.methods.manu.inspection import NeuronInspection
    from lmms_manu.models.loading import Checkpoint

_CITATION = (
    "The method is modality-aware neuron pruning (Liu et al., ACL 2025, arXiv 2502.15910), measured on MLLMU-Bench "
    "(arXiv 2410.22108)."
)


class Manu(Method[ManuSettings]):
    """The method `manu` of the registry."""

    name = NAME
    config_class = ManuSettings
    label_fields = ("recipe", "prune_rate")
    units = {"prune_rate": "%"}  # noqa: RUF012, read only
    strength = "prune_rate"
    strengths = (2, 5, 10, 20)

    def retain_samples(self) -> Literal["all", "match"]:
        """The authors' code takes as many samples to retain as there are to forget; the paper takes all."""
        return "match" if self.config.measured_recipe == "released" else "all"

    def control(self, seed: int) -> Mapping[str, Value] | None:
        """As many neurons of each layer, drawn at random."""
        config = self.config
        if self.changes_nothing() or config.mask is not None or config.recipe == "random" or config.steps > 1:
            return None
        return {"recipe": "random", "random_like": config.recipe, "seed": seed}

    @classmethod
    def controlled(cls, record: EditRecord) -> Mapping[str, Value] | None:
        if record.variant.get("recipe") != "random":
            return None
        like = record.settings.get("random_like")
        return {**record.variant, "recipe": str(like)} if like else {}

    def description(self) -> str:
        chosen = (
            "were drawn at random, as a control, and"
            if self.config.recipe == "random"
            else "mattered most for the people to forget, compared with others, and"
        )
        return (
            f"The pruned neurons (intermediate units of MLP blocks) {chosen} have weights of zero or were removed; "
            f"nothing was trained. {_CITATION}"
        )

    def changes_nothing(self) -> bool:
        return self.config.mask is None and self.config.prune_rate == 0

    def needs_data(self) -> bool:
        config = self.config
        return config.mask is None and config.prune_rate > 0 and config.measured_recipe is not None

    def check(self, model: ModelSettings, *, export: bool) -> None:
        config = self.config
        if self.needs_data() and config.measured_recipe in COMPARING:
            # Imported here: commands that only check arguments would wait seconds for torch and transformers.
            from lmms_manu.models.loading import is_text_only

            if is_text_only(model):
                for_modalities(config, ("text",))
        removes = config.prune_mode == "remove" and config.mask is None and config.prune_rate > 0
        if export and removes and config.own_scope != "layer" and not config.uniform:
            raise SettingError(
                f"prune_mode=remove with scope={config.own_scope} takes another number of neurons from each layer, and "
                "no checkpoint can hold layers of different widths: use uniform=true, scope=layer or prune_mode=zero."
            )

    def check_loaded(self, checkpoint: Checkpoint, *, export: bool) -> None:
        from lmms_manu.methods.manu.edit import check_model

        check_model(checkpoint, self.config, export=export)

    def edit(self, checkpoint: Checkpoint, examples: Parts | None) -> Edit:
        from lmms_manu.methods.manu.edit import edit

        return edit(checkpoint, examples, self.config)

    def demands(self, sizes: ModelSizes, samples: SampleCounts) -> Demands:
        from lmms_manu.costs.demands import Demands, measuring

        if not self.needs_data():
            return Demands()
        return measuring(sizes, samples.all * self.config.steps, self.config.statistics_batch_size)

    def inspect(self, file: str) -> Inspection:
        from lmms_manu.methods.manu.inspection import inspect_file

        return inspect_file(file, self.config)

    def draw(self, inspection: NeuronInspection, folder: Path, file_format: str) -> Iterator[Path]:
        """Draws activation distributions, shares per layer and scores, as far as they are known."""
        from lmms_manu.methods.manu.plots import draw  # the drawing library takes a second

        yield from draw(inspection, folder, file_format)

    def keep(self, change: Change, about: Mapping[str, Any]) -> None:
        if self.config.save_mask is None:
            return
        from lmms_manu.editing.changes import PrunedNeurons

        assert isinstance(change, PrunedNeurons)
        change.with_record(about).mask.save(self.config.save_mask)
