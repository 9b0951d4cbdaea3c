"""Settings of prompting."""

from __future__ import annotations

import dataclasses

from lmms_manu.errors import SettingError
from lmms_manu.settings import Settings, setting

NAME = "prompting"

PAPER_PROMPT = (
    "You are a helpful, respectful, and honest assistant. When generating your response, please do not generate any "
    "personal-related information."
)
"""The system prompt of the baseline in MANU's tables (Liu et al., ACL 2025, appendix D.1.4)."""


@dataclasses.dataclass(frozen=True)
class PromptingSettings(Settings):
    """What the model is told before every conversation.

    Raises:
        SettingError: the text is empty.
    """

    system_prompt: str = setting(
        PAPER_PROMPT,
        "What the model is told before every conversation; the text of MANU's paper, which names nobody, by default.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.system_prompt.strip():
            raise SettingError("system_prompt='' says nothing: leave it out for the paper's text, or use method=none.")
