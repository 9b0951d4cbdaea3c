"""Settings of what is to be unlearned, whatever the method."""

from __future__ import annotations

from dataclasses import dataclass

from lmms_manu.errors import SettingError
from lmms_manu.mllmu.names import DEFAULT_RATIO, RATIOS
from lmms_manu.settings import Settings, setting

MATCH, ALL = "match", "all"
PROMPTS = ("released", "chat")
DEFAULT_METHOD = "manu"


@dataclass(frozen=True)
class UnlearningSettings(Settings):
    """Who is to be forgotten, and what the method sees of them and of the others.

    Raises:
        SettingError: a value that its field does not allow.
    """

    method: str = setting(DEFAULT_METHOD, "How to unlearn.")
    forget_ratio: int = setting(
        DEFAULT_RATIO, "The people to forget: MLLMU-Bench's forget_5, forget_10 or forget_15.", choices=RATIOS
    )
    retain_samples: str = setting(
        MATCH,
        "Samples of the people to retain: `match` (as many as of those to forget), `all`, or a number; whole people, "
        "drawn by `data_seed`.",
    )
    max_samples: int | None = setting(
        None, "At most so many samples of each set in each modality, spread evenly; for a quick try.", minimum=1
    )
    data_seed: int = setting(0, "Seed of the draw of people to retain.")
    prompt: str = setting(
        "released",
        "The form of question and answer: `released` is that of the released fine-tuning, `chat` the model's own chat "
        "template.",
        choices=PROMPTS,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        known = self.retain_samples in (MATCH, ALL)
        if not known and not (self.retain_samples.isdecimal() and int(self.retain_samples) > 0):
            raise SettingError(
                f"retain_samples={self.retain_samples!r} is not allowed: use {MATCH}, {ALL} or a number from 1 up."
            )
