"""The commands in the documentation, and what stands in for what a small machine lacks.

Eight GPUs become two processes on the CPU, a second node none, groups of tasks one of their leaves. The harness's
commands ask one question of each task, but for those of the quick start and of own people, which are run to the
letter. Suites are checked with `--dry-run`, which does all but start the harness, or run in their first part where a
later command reads the results.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from lmms_manu.evaluation.suites import parts

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)

_NOT_RUN = {
    "make": "these are the commands that run the tests and the demonstration",
    "pip": "the package is installed where the tests run",
    "cd": "the commands are run in the folder that it leads to",
    "lmms-manu lay-out": "it made the folder in which the commands are run",
    "lmms-eval --model manu_pruned --tasks mllmu_forget,mmmu": "test_command.py runs it to the letter",
}

_STAND_INS = (
    ("--nproc_per_node 8", "--nproc_per_node 2"),
    ("accelerate launch --num_processes 8", "accelerate launch --cpu --num_processes 1"),
    ("--nnodes 2", "--nnodes 1"),
    ("node0:29500", "localhost:0"),
    ("--tasks mllmu,mmmu", "--tasks mllmu_forget_cloze_text"),
    ("--tasks mllmu --", "--tasks mllmu_retain_generation_text --"),
    ("--tasks mllmu_10 --", "--tasks mllmu_forget_10_cloze_text --"),
)

_QUICK_START = "--tasks mllmu_forget_10,mllmu_retain_10"
_READ_BY_A_REPORT = re.compile(r"lmms-manu evaluate .*--output results/llava/(vanilla|paper-2)$")
_OF_OWN_PEOPLE = "forget=example/people.csv"
_REPORT_OF_ONE_PART = re.compile(r"lmms-manu report .*results/llava/")
_OTHER_PARTS = ",".join(part.name for part in parts("all", 5)[1:])


def documented(documents: Iterable[Path]) -> list[str]:
    """The commands of all documents that can be run, each once, in order."""
    commands = []
    for document in documents:
        for block in _BLOCK.findall(document.read_text(encoding="utf-8")):
            lines = block.replace("\\\n", " ").splitlines()
            commands += [line.partition(" #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]
    return [command for command in dict.fromkeys(commands) if not command.startswith(tuple(_NOT_RUN))]


def is_rehearsed(command: str) -> bool:
    """Whether a command is checked with `--dry-run`."""
    is_run = _READ_BY_A_REPORT.match(command) or _OF_OWN_PEOPLE in command
    return bool(re.search(r"lmms-manu (evaluate|sweep|compare)", command)) and not is_run


def complaint(command: str, run: Callable[..., subprocess.CompletedProcess[str]]) -> str | None:
    """Runs what stands in for a command; returns the end of what it printed if it failed."""
    small = command
    for real, stand_in in _STAND_INS:
        small = small.replace(real, stand_in)
    if _READ_BY_A_REPORT.match(command):
        small += f" --limit 1 --skip {_OTHER_PARTS}"
    elif _REPORT_OF_ONE_PART.match(command):
        small += " --allow partial"
    elif "--model manu_pruned" in command and not any(whole in command for whole in (_QUICK_START, _OF_OWN_PEOPLE)):
        small += " --limit 1"
    done = run("bash", "-c", small, ACCELERATE_USE_CPU="true")
    return f"{command}\n{(done.stdout + done.stderr)[-1500:]}" if _has_failed(command, done) else None


def _has_failed(command: str, done: subprocess.CompletedProcess[str]) -> bool:
    """The harness exits with 0 on failures; a table of results is what it prints where it worked."""
    if "--model manu_pruned" in command:
        return not re.search(r"\|\s+Tasks\s+\|", done.stdout) or "Error during evaluation" in done.stdout
    if command.startswith("lmms-manu gate"):
        # Its verdict is not the point; that there is one is.
        return "lmms-manu gate:" in done.stderr
    return done.returncode != 0
