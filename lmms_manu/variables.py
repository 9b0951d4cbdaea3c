"""The environment variables that this package reads, all of them optional.

They exist for what the tasks and the model must agree on and for which the harness has no argument.
"""

from __future__ import annotations

import os
from pathlib import Path

DATASET = "LMMS_MANU_DATASET"
CLEAR_DATASET = "LMMS_MANU_CLEAR_DATASET"
OWN_DATA = "LMMS_MANU_OWN_DATA"
EXEMPLARS = "LMMS_MANU_EXEMPLARS"
SEED = "LMMS_MANU_SEED"
ANSWERS = "LMMS_MANU_ANSWERS"
CACHE = "LMMS_MANU_CACHE"
RECORD = "LMMS_MANU_RECORD"
JUDGE = "LMMS_MANU_JUDGE"
JUDGE_CONCURRENCY = "LMMS_MANU_JUDGE_CONCURRENCY"
JUDGE_TIMEOUT = "LMMS_MANU_JUDGE_TIMEOUT"
JUDGE_ATTEMPTS = "LMMS_MANU_JUDGE_ATTEMPTS"

HELP = {
    DATASET: "Folder or hub name of MLLMU-Bench, for the tasks and the model alike (default `MLLMMU/MLLMU-Bench`, "
    "which a folder of that relative path in the current directory stands in for).",
    CLEAR_DATASET: "Folder or hub name of CLEAR, for the tasks and the model alike (default `therem/CLEAR`, or a "
    "folder of that relative path).",
    OWN_DATA: "Tables of your own people for tasks of any model, such as `forget=people.jsonl,retain=others.jsonl`; "
    "the arguments of `manu_pruned` name them otherwise.",
    EXEMPLARS: "Number of exemplar people, 0 for none: by task (`cloze=1`) or by split and task (`celebrity.cloze=2`); "
    "the default is `classification=1,cloze=auto`, which is one person for Idefics2 and two for every other model, and "
    "none for celebrities.",
    SEED: "Seed of the rule that chooses exemplar people and test pictures (default `0`).",
    RECORD: "File to which `manu_pruned` writes the record of its edit, as JSON; for programs that start the harness.",
    ANSWERS: "Folder in which `manu_pruned` writes its answers down as they come, and finds those of a run that was "
    "stopped; for programs that start the harness.",
    CACHE: "Folder of cached statistics and judgements (default `~/.cache/lmms-manu`).",
    JUDGE: "`off` leaves factuality unmeasured although a key or an endpoint of a judge is set.",
    JUDGE_CONCURRENCY: "Answers that the factuality judge is asked about at a time (default `8`).",
    JUDGE_TIMEOUT: "Seconds that one request to the factuality judge may take (default `60`).",
    JUDGE_ATTEMPTS: "Requests for one answer until it counts as not judged (default `5`).",
}


def record_file() -> Path | None:
    """The file that wants the record of an edit, None if none does."""
    chosen = os.environ.get(RECORD)
    return Path(chosen) if chosen else None


def answers_folder() -> Path | None:
    """The folder that wants the answers as they come, None if none does."""
    chosen = os.environ.get(ANSWERS)
    return Path(chosen) if chosen else None


def is_first_process() -> bool:
    """Whether this is the process that speaks, of those that a launcher such as torchrun has started."""
    return rank_and_world()[0] == 0


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many there are, as the launcher says."""
    return int(os.environ.get("RANK") or 0), int(os.environ.get("WORLD_SIZE") or 1)


def cache_folder() -> Path:
    """The folder in which statistics and judgements are kept between runs; it may not exist yet."""
    chosen = os.environ.get(CACHE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "lmms-manu"
