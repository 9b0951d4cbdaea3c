"""Results that the harness did not finish are none."""

import sys

import pytest

from lmms_manu.evaluation import harness
from lmms_manu.evaluation.harness import HarnessError, HarnessRun


@pytest.mark.parametrize("text", ['{"results": {"mmstar": {', "", '{"results": {}}'])
def test_a_results_file_that_was_cut_off_is_told_with_the_end_of_the_log(monkeypatch, tmp_path, text):
    file = tmp_path / "20260101_000000_results.json"
    code = f"import pathlib; print('the last words'); pathlib.Path({str(file)!r}).write_text({text!r})"
    monkeypatch.setattr(HarnessRun, "launcher", lambda self: [sys.executable, "-c", code])
    with pytest.raises(HarnessError, match=r"left no results for mmstar .*\n  \| the last words"):
        harness.run(HarnessRun(("mmstar",), {}, tmp_path), folder=tmp_path)
