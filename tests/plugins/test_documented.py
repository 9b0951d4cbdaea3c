"""The Python of the documentation runs as it stands."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "evaluating-from-python.md"


def test_evaluating_from_python_works_as_documented(here, capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict = {}
    for block in blocks:
        exec(block, names)
    accuracy, *edits = [line for line in capsys.readouterr().out.splitlines() if re.match(r"[\d.]+$|mllmu_", line)]
    assert 0 <= float(accuracy) <= 100
    variant = "{'recipe': 'paper', 'prune_rate': 2.0}"
    assert edits == [f"mllmu_forget_10_cloze_text {variant}", f"mllmu_retain_10_cloze_text {variant}"]
