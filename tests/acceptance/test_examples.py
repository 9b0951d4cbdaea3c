"""The examples name what there is; `.ci/run` runs them."""

import subprocess

import pytest
from support.documented import ROOT

EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize("script", ["slurm.sbatch", "slurm-multinode.sbatch", "ci.sh"])
def test_the_scripts_are_valid_shell_and_name_real_options(rehearse, script):
    text = (EXAMPLES / script).read_text(encoding="utf-8").replace("\\\n", " ")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    complaints = [rehearse(line) for line in text.splitlines() if line.startswith("lmms-manu evaluate")]
    assert not any(complaints), "\n\n".join(filter(None, complaints))
