"""What the documentation says is what the code does."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tables_in_the_documentation_are_those_of_the_code():
    check = [sys.executable, str(ROOT / "scripts" / "fill_docs.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
