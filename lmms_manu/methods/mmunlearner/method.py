"""MMUnlearner as the registry knows it; torch is imported when an edit is made."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from lmms_manu.errors import DataError, SettingError
from lmms_manu.methods.mmunlearner.config import GOAL, NAME, MMUnlearnerSettings
from lmms_manu.methods.record import Value
from lmms_manu.methods.trained.base import Trains
from lmms_manu.models.settings import ModelSettings

if TYPE_CHECKING:
    from lmms_manu.costs.demands import Demands, SampleCounts
    from lmms_manu.costs.sizes import ModelSizes
    from lmms_manu.measuring.parts import Parts
    from lmms_manu.models.loading import Checkpoint
    from lmms_manu.training.objective import Terms
    from lmms_manu.training.train import TrainingTask


class MMUnlearner(Trains[MMUnlearnerSettings]):
    """`mmunlearner`: gradient difference on pictured samples, ascent only where the faces to forget matter."""

    name = NAME
    config_class = MMUnlearnerSettings
    idea = (
        "The model was trained to make the answers to pictured questions about the people to forget less likely, in "
        "weights that matter more for these than for what is to be kept, and those about the others likelier. The goal "
        "is to forget the faces and to keep what the model knows of the same people as text, so that their text scores "
        "are to stay high (MMUnlearner, Huo et al., ACL 2025, arXiv 2502.11051)."
    )

    def variant(self) -> dict[str, Value]:
        """The goal, which is another than that of most methods, then as of every training."""
        return {"goal": f"({GOAL})", **super().variant()}

    def check(self, model: ModelSettings, *, export: bool) -> None:
        super().check(model, export=export)
        # Imported here: commands that only check arguments would wait seconds for torch and transformers.
        from lmms_manu.models.loading import is_text_only

        if is_text_only(model):
            raise SettingError(f"method={NAME} makes a model forget faces, and this one sees none: use another method.")

    def demands(self, sizes: ModelSizes, samples: SampleCounts) -> Demands:
        # A gradient of all samples beforehand, and what each entry matters as a float32.
        trained = super().demands(sizes, samples)
        assert trained.trained is not None
        # Shards do not show single entries.
        part = dataclasses.replace(trained.trained, sharded=False)
        kept = 4 * sizes.language.multiplied
        return dataclasses.replace(trained, trained=part, backward=trained.backward + samples.all, kept=kept)

    def task(self, checkpoint: Checkpoint, examples: Parts) -> TrainingTask:
        from lmms_manu.measuring.rendered import digest_of_examples
        from lmms_manu.methods.mmunlearner.saliency import FORGET, saliency_masks

        if not examples.get(FORGET):
            raise DataError(f"method={NAME} forgets faces, and there is no sample with a picture to forget.")
        task = super().task(checkpoint, examples)
        masks = saliency_masks(checkpoint, examples, self.config)
        # The masks depend on all samples, those that are not trained on included.
        samples = {str(part): digest_of_examples(own) for part, own in examples.items()}
        return dataclasses.replace(task, masks=masks, about={**task.about, "samples": samples})

    def terms(self, checkpoint: Checkpoint) -> Terms:
        from lmms_manu.training.objective import Terms, Weighted
        from lmms_manu.training.terms import Ascent, CrossEntropy

        weight = self.config.retain_weight
        return Terms(Weighted(Ascent()), Weighted(CrossEntropy(), weight) if weight else None)
