"""Runs a suite part by part, keeps what is done, and writes down what was run."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from lmms_manu.errors import DataError, SettingError
from lmms_manu.evaluation.harness import LOG, Harness, HarnessError, HarnessRun
from lmms_manu.evaluation.judge_failures import unjudged_tasks
from lmms_manu.evaluation.manifest import is_done, losses, new_manifest, older_versions, read_manifest, refuse_others
from lmms_manu.evaluation.progress import Progress
from lmms_manu.evaluation.protocol import judge_of, protocol
from lmms_manu.evaluation.suites import SuitePart
from lmms_manu.files import refuse_unwritable, write_json
from lmms_manu.names import ANSWERS_FOLDER, MANIFEST_FILE, RECORD_FILE
from lmms_manu.settings import Settings, from_arguments, setting
from lmms_manu.variables import ANSWERS, RECORD
from lmms_manu.versions import installed


@dataclasses.dataclass(frozen=True)
class Evaluation(Settings):
    """A model, what is asked of it, and where the results go.

    Args:
        parts: what to run, in order.
        model_args: arguments of the model `manu_pruned`.
        output: folder of the results; one folder a part, and `run.json` beside them.
        folder: the working directory, where local copies of models and datasets are looked for.
        variables: the environment variables of the calls.

    Raises:
        SettingError: `processes` or `limit` is less than 1, a value has a comma, or `output` cannot be written.
    """

    parts: tuple[SuitePart, ...]
    model_args: Mapping[str, object]
    output: Path
    folder: Path
    variables: Mapping[str, str]
    processes: int = setting(1, "Number of processes, each with its own copy of the model.", minimum=1)
    limit: int | None = setting(None, "Asks only so many questions of each task; None for all.", minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for part in self.parts:
            _call(self, part)
        refuse_unwritable("output", self.output)


def check_arguments(model_args: Mapping[str, Any]) -> None:
    """Refuses arguments that the model would refuse, before the harness is started for it.

    Raises:
        SettingError: an unknown argument, a value that is not allowed, or a path at which there is nothing.
    """
    # Imported here, because the command's help needs none of it.
    from lmms_manu.answering.settings import AnsweringSettings
    from lmms_manu.methods.edited_before import refuse_silent_edit
    from lmms_manu.methods.registry import settings_classes
    from lmms_manu.models.settings import ModelSettings

    of_data, of_method = settings_classes(model_args)
    model, *_ = from_arguments(model_args, ModelSettings, AnsweringSettings, of_data, of_method)
    refuse_silent_edit(model_args, model, of_method)


def evaluate(evaluation: Evaluation, harness: Harness, progress: Progress) -> bool:
    """Runs the parts that have no results yet, in one process that loads the model once.

    A part that fails is reported and the next one is run, so that one night yields all that it can. What was run
    (arguments, the versions of each part, the edit's record with its mask's fingerprint, seconds) is kept in
    `run.json`.

    Args:
        evaluation: what to run.
        harness: runs the parts.
        progress: is told of each part.

    Returns:
        Whether every part has its results, and its judge's verdicts.

    Raises:
        SettingError: the folder holds results of other arguments or of another judge, or another call writes into
            it; nothing is overwritten.
    """
    with _locked(evaluation.output):
        return _evaluate(evaluation, harness, progress)


def outline(evaluation: Evaluation) -> str:
    """What `evaluate` would run: a line a part, with its command.

    Raises:
        SettingError: the folder holds results of other arguments or of another judge.
    """
    manifest, output = _open_manifest(evaluation), evaluation.output
    return "\n".join(
        f"{output / part.name}: "
        + (
            _done_before(part, manifest)
            if is_done(output, part.name, manifest)
            else shlex.join(_call(evaluation, part).command())
        )
        for part in evaluation.parts
    )


def asked_of(evaluation: Evaluation) -> dict[str, Any]:
    """What the record says of an evaluation: the model's arguments, the number of questions and how they are asked."""
    arguments = {name: str(value) for name, value in sorted(evaluation.model_args.items())}
    return {"model_args": arguments, "limit": evaluation.limit, "protocol": protocol(evaluation.parts)}


def _evaluate(evaluation: Evaluation, harness: Harness, progress: Progress) -> bool:
    manifest = _open_manifest(evaluation)
    if not any(is_done(evaluation.output, part.name, manifest) for part in evaluation.parts):
        # The record of an attempt that came to nothing would be taken for this model's.
        _record(evaluation).unlink(missing_ok=True)
    complete = True
    for part in evaluation.parts:
        name = str(evaluation.output / part.name)
        if is_done(evaluation.output, part.name, manifest):
            progress.end(name, _done_before(part, manifest))
            continue
        progress.begin(name)
        # Written down before it runs: what an attempt that was cut off has left may be removed, and nothing else.
        manifest["parts"][part.name] = {"status": "started"}
        write_json(evaluation.output / MANIFEST_FILE, manifest)
        entry, told = _run_part(evaluation, part, harness)
        complete &= entry["status"] == "done"
        manifest["parts"][part.name] = entry
        manifest["edit"] = _read_json(_record(evaluation)) or manifest.get("edit")
        write_json(evaluation.output / MANIFEST_FILE, manifest)
        progress.end(name, told)
    return complete


def _run_part(evaluation: Evaluation, part: SuitePart, harness: Harness) -> tuple[dict[str, Any], str]:
    """Runs a part; returns its entry in the manifest, and what to say of it."""
    call = _call(evaluation, part)
    # What an attempt that was cut off left there would be read as a second result.
    shutil.rmtree(call.output, ignore_errors=True)
    entry: dict[str, Any] = {
        "tasks": list(part.tasks),
        "judge": judge_of(part),
        "versions": installed(),
        "started": _now(),
    }
    answers = _answers(evaluation, part)
    environment = {**part.environment(evaluation.variables), RECORD: str(_record(evaluation)), ANSWERS: str(answers)}
    started = time.monotonic()
    try:
        results = harness.run(call, environment)
        if lost := losses(results):
            raise DataError(f"{'; '.join(lost)}. The same command runs this part again.")
        unjudged = unjudged_tasks(results, has_judge=part.judge_url is not None)
    except (HarnessError, DataError, OSError) as error:
        entry |= {"status": "failed", "error": str(error).splitlines()[0]}
        told = str(error)
    else:
        status = "unjudged" if unjudged else "done"
        entry |= {"status": status, "results": str(results.relative_to(evaluation.output))}
        if not unjudged:
            shutil.rmtree(answers, ignore_errors=True)
            with contextlib.suppress(OSError):  # others are there
                answers.parent.rmdir()
        told = f"{status} in {time.monotonic() - started:.0f} s"
        if unjudged:
            told += (
                f": the judge gave no verdict for {', '.join(unjudged)} (its errors are in "
                f"{call.output / LOG}); the same command runs this part again."
            )
    return {**entry, "seconds": round(time.monotonic() - started, 1)}, told


def _done_before(part: SuitePart, manifest: Mapping[str, Any]) -> str:
    difference = older_versions(part.name, manifest)
    return f"done before, with other versions ({difference})" if difference else "done before"


def _call(evaluation: Evaluation, part: SuitePart) -> HarnessRun:
    output = evaluation.output / part.name
    return HarnessRun(part.tasks, evaluation.model_args, output, processes=evaluation.processes, limit=evaluation.limit)


def _open_manifest(evaluation: Evaluation) -> dict[str, Any]:
    known = read_manifest(evaluation.output)
    begun = known["parts"] if known is not None else {}
    for part in evaluation.parts:
        folder = evaluation.output / part.name
        if part.name not in begun and folder.exists() and any(folder.iterdir()):
            raise SettingError(
                f"output={str(evaluation.output)!r} holds a folder {part.name!r} that is none of this command's: "
                "name another folder; nothing is overwritten."
            )
    asked = asked_of(evaluation)
    if known is None or not any(evaluation.output.rglob("*_results.json")):
        return new_manifest(asked, begun)
    # Records of an earlier version say nothing of the protocol.
    before, now = (
        {**one["model_args"], "limit": one["limit"], **one["protocol"]} for one in ({**asked, **known}, asked)
    )
    refuse_others(evaluation.output, "other arguments", before, now)
    _refuse_another_judge(evaluation, known)
    return known


def _refuse_another_judge(evaluation: Evaluation, manifest: Mapping[str, Any]) -> None:
    """Refuses to have the parts that are left judged by another judge than those that are done.

    A part that got no verdict may be put to another judge: it is run again.
    """
    output = evaluation.output
    done = {name for name in manifest["parts"] if is_done(output, name, manifest)}
    judges = [manifest["parts"][name].get("judge") for name in done]
    judges += [judge_of(part) for part in evaluation.parts if part.name not in done]
    asked = [judge for judge in judges if judge is not None]
    if asked:
        refuse_others(output, "another judge", asked[0], asked[-1])


@contextlib.contextmanager
def _locked(output: Path) -> Iterator[None]:
    """Keeps other calls out of the folder; two would do the same work, and leave their results twice."""
    output.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(f"{output / MANIFEST_FILE}.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise SettingError(
            f"output={str(output)!r} is in use by another evaluation: wait for it, or name another folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _answers(evaluation: Evaluation, part: SuitePart) -> Path:
    """The folder of a part's answers, until it is whole; not in its own, which a new attempt begins by removing."""
    return evaluation.output.absolute() / ANSWERS_FOLDER / part.name


def _record(evaluation: Evaluation) -> Path:
    return evaluation.output.absolute() / RECORD_FILE


def _read_json(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
