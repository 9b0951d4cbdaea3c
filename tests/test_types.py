"""The checker of types sees all of the package, and what it sees has types."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = ("datasets", "huggingface_hub", "lmms_eval", "numpy", "openai", "peft", "PIL", "torch", "transformers")


def test_what_is_imported_from_plugins_and_tasks_has_its_types(tmp_path):
    config = tmp_path / "pyproject.toml"
    without = f"[[tool.mypy.overrides]]\nmodule = {[f'{name}.*' for name in HEAVY]}\nfollow_imports = 'skip'\n"
    config.write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8") + without, encoding="utf-8")
    program = tmp_path / "imports.py"
    program.write_text(
        "from lmms_manu.plugins.requested_tasks import note_requested_tasks\n"
        "from lmms_manu.tasks.mllmu.generate import main\n"
        "reveal_type(note_requested_tasks)\nreveal_type(main)\n",
        encoding="utf-8",
    )
    options = ["--config-file", config, "--cache-dir", tmp_path / "cache", "--follow-imports=silent", program]
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    printed = ended.stdout + ended.stderr
    revealed = [line.partition("Revealed type is ")[2] for line in printed.splitlines() if "Revealed type" in line]
    assert [kind.strip('"').startswith("def (") for kind in revealed] == [True, True], printed
