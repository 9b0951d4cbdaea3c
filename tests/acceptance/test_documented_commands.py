"""Every command of the README and the docs works, on small stand-ins under the names of what it names.

What this machine lacks is replaced: eight GPUs by two processes on the CPU, a second node by none, the network by local
copies, and groups of tasks by one of their leaves. Commands that evaluate whole suites are checked with `--dry-run`,
which does all but start the harness, and the harness's own ask one question of each task; that suites and whole tasks
run is shown elsewhere.
"""

import concurrent.futures
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "tasks" / "mllmu" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)

NOT_RUN = {
    "make": "these are the commands that run the tests and the demonstration",
    "pip": "the package is installed where the tests run",
    "cd": "the commands are run in the folder that it leads to",
    "lmms-manu lay-out": "it made the folder in which the commands are run",
}

STAND_INS = (
    ("--nproc_per_node 8", "--nproc_per_node 2"),
    ("accelerate launch --num_processes 8", "accelerate launch --cpu --num_processes 1"),
    ("--nnodes 2", "--nnodes 1"),
    ("node0:29500", "localhost:29517"),
    ("--tasks mllmu,mmmu", "--tasks mllmu_forget_cloze_text"),
    ("--tasks mllmu --", "--tasks mllmu_retain_generation_text --"),
    ("--tasks mllmu_10 --", "--tasks mllmu_forget_10_cloze_text --"),
    ("--tasks mllmu_forget_10,mllmu_retain_10", "--tasks mllmu_forget_10_cloze_text,mllmu_retain_10_cloze_text"),
)


def documented() -> list[str]:
    """The commands of all documents, each once, in order."""
    commands = []
    for document in DOCUMENTS:
        for block in BLOCK.findall(document.read_text(encoding="utf-8")):
            lines = block.replace("\\\n", " ").splitlines()
            commands += [line.partition(" #")[0].strip() for line in lines if line.strip() and not line.startswith("#")]
    return list(dict.fromkeys(commands))


def runnable() -> list[str]:
    return [command for command in documented() if not command.startswith(tuple(NOT_RUN))]


def stand_in(command: str) -> str:
    for real, small in STAND_INS:
        command = command.replace(real, small)
    if "lmms-manu evaluate" in command or "lmms-manu sweep" in command:
        return f"{command} --dry-run"
    if "--model manu_pruned" in command:
        return f"{command} --limit 1"
    if command.startswith(("lmms-manu report", "lmms-manu gate")):
        return f"{command} --allow partial"
    return command


def failed(command: str, done: subprocess.CompletedProcess[str]) -> bool:
    """The harness exits with 0 on failures; a table of results is what it prints where it worked."""
    if "--model manu_pruned" in command:
        return not re.search(r"\|\s+Tasks\s+\|", done.stdout) or "Error during evaluation" in done.stdout
    if command.startswith("lmms-manu gate"):
        # The verdict on one question is not the point; that there is one is.
        return "lmms-manu gate:" in done.stderr
    return done.returncode != 0


def test_the_documents_hold_commands_of_every_kind():
    commands = "\n".join(runnable())
    for word in (
        "lmms-eval --model manu_pruned",
        "torchrun",
        "evaluate",
        "sweep",
        "report",
        "gate",
        "prune",
        "inspect",
    ):
        assert word in commands


def test_every_documented_command_works(run, world):
    two_processes = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "OPENAI_API_KEY": "none-is-called"}
    first, later = [], []
    for command in runnable():
        # What reads results or files comes after what writes them.
        reads = re.match(r"lmms-manu (report|gate|inspect)", command)
        (later if reads else first).append(command)
    (world / "gate.yaml").write_text((ROOT / "examples" / "gate.yaml").read_text())

    def outcome(command: str) -> tuple[str, subprocess.CompletedProcess[str]]:
        small = stand_in(command)
        return command, run("bash", "-c", small, **two_processes)

    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        outcomes = list(pool.map(outcome, first))
    outcomes += [outcome(command) for command in later if not needs_suite_results(command)]
    broken = [
        f"{command}\n{(done.stdout + done.stderr)[-1500:]}" for command, done in outcomes if failed(command, done)
    ]
    assert not broken, "\n\n".join(broken)


def needs_suite_results(command: str) -> bool:
    """Whether a command reads what only a whole suite would have written; `tests/evaluation` runs those."""
    words = shlex.split(command)
    return "results/llava" in command and "report" in words


@pytest.mark.parametrize("script", ["slurm.sbatch", "slurm-multinode.sbatch", "ci.sh"])
def test_the_example_scripts_are_valid_shell_and_name_real_options(run, script):
    text = (ROOT / "examples" / script).read_text(encoding="utf-8").replace("\\\n", " ")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    for line in text.splitlines():
        if line.startswith("lmms-manu evaluate"):
            done = run("bash", "-c", f"{line} --dry-run", OPENAI_API_KEY="none-is-called", folder=".")
            assert done.returncode == 0, done.stderr
