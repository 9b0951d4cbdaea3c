"""Settings of how requests are answered."""

from __future__ import annotations

import dataclasses

from lmms_manu.errors import SettingError
from lmms_manu.settings import Settings, setting

AUTO = "auto"


@dataclasses.dataclass(frozen=True)
class AnsweringSettings(Settings):
    """How many prompts are answered at once, and what they share.

    Raises:
        SettingError: `batch_size` is neither `auto` nor a number from 1 up.
    """

    batch_size: str = setting(
        AUTO, "Prompts answered at once; `auto` goes by their length and the memory at hand. Out of memory halves it."
    )
    reuse_prefix: bool = setting(
        True, "Computes what all prompts of a task begin with (the exemplars) once; off where it changes an answer."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size.startswith(f"{AUTO}:"):
            # The harness's own spelling, in which the number says how often to try again.
            object.__setattr__(self, "batch_size", AUTO)
        if self.batch_size != AUTO and not (self.batch_size.isdecimal() and int(self.batch_size) > 0):
            raise SettingError(f"batch_size={self.batch_size!r} is not allowed: use auto or a whole number from 1 up.")

    @property
    def fixed_batch_size(self) -> int | None:
        """The number of prompts that the user asked for, None for `auto`."""
        return None if self.batch_size == AUTO else int(self.batch_size)
