"""The examples name what there is; `.ci/run` runs them."""

import subprocess
from pathlib import Path

import pytest
import yaml
from support.documented import ROOT

from lmms_manu.benchmarks.registry import get_benchmark
from lmms_manu.evaluation.evaluate import check_arguments
from lmms_manu.evaluation.harness import HarnessRun
from lmms_manu.settings import parse_arguments

EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize("script", ["slurm.sbatch", "slurm-multinode.sbatch", "ci.sh"])
def test_the_scripts_are_valid_shell_and_name_real_options(rehearse, script):
    text = (EXAMPLES / script).read_text(encoding="utf-8").replace("\\\n", " ")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    complaints = [rehearse(line) for line in text.splitlines() if line.startswith("lmms-manu evaluate")]
    assert not any(complaints), "\n\n".join(filter(None, complaints))


def test_the_runs_for_the_harness_name_real_arguments_and_groups():
    known = {task.group for task in get_benchmark("mllmu").tasks()}
    for one in yaml.safe_load((EXAMPLES / "runs.yaml").read_text(encoding="utf-8")):
        check_arguments(parse_arguments(one["model_args"]))
        run = HarnessRun(tuple(one["tasks"].split(",")), parse_arguments(one["model_args"]), Path(one["output_path"]))
        assert {*one} - {"env"} == {*run.config()}
        assert {*run.tasks} <= known
