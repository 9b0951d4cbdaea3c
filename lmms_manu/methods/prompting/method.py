"""Prompting as the registry knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lmms_manu.errors import SettingError
from lmms_manu.methods.base import Edit, Method
from lmms_manu.methods.prompting.config import NAME, PAPER_PROMPT, PromptingSettings
from lmms_manu.methods.record import Value
from lmms_manu.models.settings import ModelSettings

if TYPE_CHECKING:
    from lmms_manu.measuring.parts import Parts
    from lmms_manu.models.loading import Checkpoint


class Prompting(Method[PromptingSettings]):
    """The method `prompting` of the registry: a system prompt in front of every conversation."""

    name = NAME
    config_class = PromptingSettings

    def description(self) -> str:
        return (
            "No weight was changed: the model is told before every conversation not to give personal information, "
            "which hides knowledge and removes none. The prompt is that of the prompting baseline of Liu et al., ACL "
            "2025 (arXiv 2502.15910), unless the settings give another."
        )

    def variant(self) -> dict[str, Value]:
        return {} if self.config.system_prompt == PAPER_PROMPT else {"prompt": "own prompt"}

    def needs_data(self) -> bool:
        return False

    def check(self, model: ModelSettings, *, export: bool) -> None:
        if export:
            raise SettingError(
                "method=prompting changes no weight, so that there is no edited checkpoint to write: give the text to "
                "whatever serves the model as its system prompt, or save it as an edit with save_edit=FOLDER."
            )

    def edit(self, checkpoint: Checkpoint, examples: Parts | None) -> Edit:
        from lmms_manu.editing.changes import SystemPrompt  # torch, which checking arguments needs none of

        return Edit(SystemPrompt(self.config.system_prompt))
