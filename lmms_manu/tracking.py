"""Trackers of experiments that runs are logged to: Weights & Biases and Trackio, which are called alike.

Where they keep what they get, and whether they send it anywhere, is a matter of their own settings:
`WANDB_MODE=offline` keeps it in `./wandb` until `wandb sync`, and Trackio keeps it on this machine unless it is told a
Space.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import Any

from lmms_manu.errors import SettingError, first_line, one_of

TRACKERS = ("wandb", "trackio")
PROJECT = "lmms-manu"


@dataclasses.dataclass(frozen=True)
class Tracked:
    """What is logged of one model.

    Args:
        name: the model's.
        group: what it belongs to, such as a sweep.
        settings: how it was made and evaluated.
        scores: what came of it, by names of which the part before a slash makes a panel.
        curve: points of its training, each with the `step` that it is at.
    """

    name: str
    group: str
    settings: Mapping[str, Any]
    scores: Mapping[str, float] = dataclasses.field(default_factory=dict)
    curve: Sequence[Mapping[str, float]] = ()


@dataclasses.dataclass(frozen=True)
class Tracker:
    """A tracker and the project in it.

    Args:
        library: one of `TRACKERS`.
        project: the project's name.
    """

    library: str
    project: str

    @classmethod
    def named(cls, text: str) -> Tracker:
        """The tracker that `NAME` or `NAME:PROJECT` means, once it is known to be at hand.

        Raises:
            SettingError: it is not known or not installed, or nobody is logged in to it.
        """
        library, _, project = text.partition(":")
        if library not in TRACKERS:
            raise one_of("log_to", library, TRACKERS)
        if importlib.util.find_spec(library) is None:
            raise SettingError(f"log_to={text!r} needs the package {library}: `pip install {library}`.")
        tracker = cls(library, project or os.environ.get(f"{library.upper()}_PROJECT") or PROJECT)
        if library == "wandb":
            try:
                tracker._module().login()
            except Exception as error:
                raise SettingError(
                    f"log_to={text!r}: {first_line(error)} WANDB_MODE=offline keeps everything on this machine."
                ) from None
        return tracker

    def log(self, models: Sequence[Tracked]) -> str:
        """Logs each model as a run of its own; returns a sentence that says so.

        Raises:
            SettingError: the tracker did not take it.
        """
        module = self._module()
        try:
            for model in models:
                self._log(module, model)
        except Exception as error:
            raise SettingError(
                f"log_to={self.library!r}: it did not take the runs ({first_line(error)}). What was computed is kept; "
                "`lmms-manu report RESULTS --log-to ...` logs the results again."
            ) from None
        return f"logged {', '.join(model.name for model in models)} to {self.library}, project {self.project}"

    def _log(self, module: Any, model: Tracked) -> None:
        module.init(project=self.project, name=model.name, group=model.group, config=dict(model.settings))
        try:
            for point in model.curve:
                values = {f"training/{name}": value for name, value in point.items() if name != "step"}
                module.log(values, step=int(point["step"]))
            if model.scores:
                module.log(dict(model.scores))
        finally:
            module.finish()

    def _module(self) -> Any:
        # Loaded where it is used: an optional dependency, or a slow one.
        return importlib.import_module(self.library)
