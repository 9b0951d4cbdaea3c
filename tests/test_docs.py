"""What the documentation says is what the code does."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tables_in_the_documentation_are_those_of_the_code(warm_python):
    check = [warm_python.python, str(ROOT / "scripts" / "fill_docs.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, env=warm_python.variables)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_first_screen_shows_the_table_that_the_demonstration_wrote():
    shown, whole = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/demonstration.md"))
    section = re.compile(r"<!-- demo -->\n(.*?)<!-- end -->", re.DOTALL)
    (one,), (other,) = section.findall(shown), section.findall(whole)
    assert one == other
    assert len(re.findall(r"^\| ", one, re.MULTILINE)) >= 10
