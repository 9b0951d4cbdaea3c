"""Settings of what is to be unlearned, whatever the method."""

from __future__ import annotations

from dataclasses import dataclass

from lmms_manu.errors import SettingError
from lmms_manu.mllmu.names import DEFAULT_RATIO, RATIOS
from lmms_manu.settings import Settings, setting

AUTO, MATCH, ALL = "auto", "match", "all"
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
        AUTO,
        "Samples of the people to retain: `all`, `match` (as many as of those to forget), or a number; whole people, "
        "drawn by `data_seed`. `auto` is `all`, but for MANU's recipe `released`, whose authors' code takes as many.",
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
    edit: str | None = setting(
        None, "Folder or hub name of a finished edit, or the file of a mask, to apply in place of making one."
    )
    save_edit: str | None = setting(None, "New folder that the finished edit is written to.", effect="nothing")
    edit_cache: bool = setting(
        True, "Keeps finished edits, so that the same one is never made twice.", effect="nothing"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        known = self.retain_samples in (AUTO, MATCH, ALL)
        if not known and not (self.retain_samples.isdecimal() and int(self.retain_samples) > 0):
            raise SettingError(
                f"retain_samples={self.retain_samples!r} is not allowed: use {AUTO}, {ALL}, {MATCH} or a number "
                "from 1 up."
            )
