"""Settings of what is to be unlearned, whatever the method."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, OF_FILES, get_benchmark
from lmms_manu.errors import SettingError, one_of
from lmms_manu.settings import Settings, setting

AUTO, MATCH, ALL = "auto", "match", "all"
PromptForm = Literal["released", "chat"]
DEFAULT_METHOD = "manu"
DEFAULT_RATIO = 5
_OF_FILES = ("forget", "retain", "test", "control", "columns", "images")


@dataclasses.dataclass(frozen=True)
class UnlearningSettings(Settings):
    """Who is to be forgotten, and what the method sees of them and of the others.

    Raises:
        SettingError: a value that its field does not allow.
    """

    method: str = setting(DEFAULT_METHOD, "How to unlearn; `none` leaves the model as it is.")
    benchmark: str = setting(DEFAULT_BENCHMARK, "The benchmark whose people are to be forgotten.")
    forget_ratio: int | None = setting(
        DEFAULT_RATIO,
        "How many of them, in percent: 5, 10 or 15 of MLLMU-Bench, 1, 5 or 10 of CLEAR. None where a benchmark has one "
        "forget set only.",
    )
    forget: str | None = setting(
        None,
        "Table of your own people to forget, in place of a benchmark's: a JSONL, CSV or parquet file, a folder, or a "
        "dataset on the hub, with the columns subject, question, answer.",
    )
    retain: str | None = setting(None, "Table of your own people to retain.")
    test: str | None = setting(None, "Table of further questions about those to forget, only asked.", effect="nothing")
    control: str | None = setting(None, "Table of people whom unlearning is not about, only asked.", effect="nothing")
    columns: str | None = setting(None, "What your tables call the columns, such as `subject:name;answer:text`.")
    images: str | None = setting(
        None, "Folder that relative paths of pictures in your tables start at; that of their table if left out."
    )
    retain_samples: str = setting(
        AUTO,
        "Samples of the people to retain: `all`, `match` (as many as of those to forget), or a number; whole people, "
        "drawn by `data_seed`. `auto` is the method's own: `all`, unless its authors' code takes fewer.",
    )
    max_samples: int | None = setting(
        None, "At most so many samples of each set in each modality, spread evenly; for a quick try.", minimum=1
    )
    data_seed: int = setting(0, "Seed of the draw of people to retain.")
    retain_budget: float | None = setting(
        None,
        "Points of 100 that the people to retain may lose: the method's strength is chosen while loading, on a quarter "
        "of the people, as the one that forgets most within it; the record says how.",
        minimum=0,
    )
    strengths: str | None = setting(
        None, "The strengths that `retain_budget` chooses from, such as `2+5+10`; the method's own if left out."
    )
    prompt: PromptForm = setting(
        "released",
        "The form of question and answer: `released` is that of the released fine-tuning, `chat` the model's own chat "
        "template.",
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
        if self.benchmark == DEFAULT_BENCHMARK and (self.forget or self.retain or self.test or self.control):
            object.__setattr__(self, "benchmark", OF_FILES)
        if self.benchmark != OF_FILES and (idle := [name for name in _OF_FILES if getattr(self, name) is not None]):
            raise SettingError(
                f"{', '.join(idle)} would have no effect on the people of benchmark={self.benchmark}: leave "
                f"{'them' if len(idle) > 1 else 'it'} out, or name a table by forget=FILE."
            )
        if self.strengths is not None and self.retain_budget is None:
            raise SettingError(
                f"strengths={self.strengths} has no effect without retain_budget=POINTS, which chooses one of them."
            )
        ratios = get_benchmark(self.benchmark).ratios
        if not ratios and self.forget_ratio == DEFAULT_RATIO:
            object.__setattr__(self, "forget_ratio", None)
        if self.forget_ratio not in (ratios or (None,)):
            raise one_of("forget_ratio", self.forget_ratio, ratios or (None,))
        known = self.retain_samples in (AUTO, MATCH, ALL)
        if not known and not (self.retain_samples.isdecimal() and int(self.retain_samples) > 0):
            raise SettingError(
                f"retain_samples={self.retain_samples!r} is not allowed: use {AUTO}, {ALL}, {MATCH} or a number "
                "from 1 up."
            )

    @property
    def forgotten(self) -> Mapping[str, str | int]:
        """Whom the model is to forget, as a record says it: the benchmark, with its forget ratio or the user's file."""
        ratio = {} if self.forget_ratio is None else {"forget_ratio": self.forget_ratio}
        files = {} if self.forget is None else {"forget": self.forget}
        return {"benchmark": self.benchmark, **ratio, **files}
