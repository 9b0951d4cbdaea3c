"""A baseline that another sweep has evaluated, in the place of evaluating it again."""

from __future__ import annotations

from pathlib import Path

from lmms_manu.errors import SettingError
from lmms_manu.evaluation.evaluate import Evaluation, asked_of
from lmms_manu.evaluation.manifest import is_done, read_manifest, refuse_others


def shared_baseline(folder: Path, baseline: Evaluation) -> Path:
    """The folder of a baseline's results, found to be those that `baseline` would have.

    Args:
        folder: that of the results, or of a sweep that holds them.
        baseline: the evaluation that they stand for; its own folder's name is looked for in that of a sweep.

    Raises:
        SettingError: there are none, they are of other arguments, questions or protocol, or not complete.
    """
    places = [place for place in (folder / baseline.output.name, folder) if read_manifest(place) is not None]
    if not places:
        raise SettingError(
            f"baseline_from={str(folder)!r} holds no results of lmms-manu evaluate or sweep: name the folder of a "
            f"sweep, or that of its {baseline.output.name!r}."
        )
    place = places[0]
    known = read_manifest(place) or {}
    asked = asked_of(baseline)
    before, now = (
        {**one["model_args"], "limit": one["limit"], **one["protocol"]} for one in ({**asked, **known}, asked)
    )
    refuse_others(place, "other arguments", before, now, "leave --baseline-from out, or name another one")
    missing = [part.name for part in baseline.parts if not is_done(place, part.name, known)]
    if missing:
        raise SettingError(
            f"baseline_from={str(folder)!r} has no complete results of {', '.join(missing)}: evaluate these first "
            f"(lmms-manu evaluate --output {place}), or leave --baseline-from out."
        )
    return place
