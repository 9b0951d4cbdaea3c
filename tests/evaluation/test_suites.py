"""Suites name what they run and refuse what cannot be judged before anything is loaded."""

import subprocess
import sys

import pytest

from lmms_manu.errors import SettingError
from lmms_manu.evaluation.suites import check_judge, parts


def test_a_suite_at_another_forget_ratio_runs_that_ratios_tasks():
    assert [part.tasks for part in parts("mllmu", 10)] == [
        ("mllmu_forget_10",),
        ("mllmu_test_10",),
        ("mllmu_retain_10",),
        ("mllmu_celebrity",),
    ]
    assert parts("likelihoods", 10)[0].tasks == ("mllmu_forget_10_likelihood",)
    assert len(parts("all", 5)) == len(parts("mllmu", 5)) + len(parts("utility", 5))


@pytest.mark.parametrize("url", ["http://judge/v1", "http://judge/v1/", "http://judge/v1/chat/completions"])
def test_each_judged_part_gets_the_judges_address_in_its_own_form(url):
    forms = {part.name: part.environment({"OPENAI_API_URL": url}) for part in parts("utility", 5)}
    assert forms["mmvet"] == forms["llava_bench"] == {"OPENAI_API_URL": "http://judge/v1"}
    assert forms["mia_bench"] == {"OPENAI_API_URL": "http://judge/v1/chat/completions"}
    assert forms["mmmu"] == {}


def test_a_missing_judge_is_an_error_that_says_how_to_go_on():
    with pytest.raises(SettingError, match="OPENAI_API_KEY") as error:
        check_judge(parts("utility", 5), {})
    unjudged = str(error.value).rpartition("--skip ")[2].rstrip(".").split(",")
    check_judge(parts("utility", 5, skip=tuple(unjudged)), {})
    check_judge(parts("utility", 5), {"OPENAI_API_KEY": "key"})


@pytest.mark.parametrize(
    ("suite", "skip", "word"),
    [("utilty", (), "'utility'"), ("utility", ("mmmv",), "'mmmu'"), ("mllmu", ("mmmu",), "mllmu_forget")],
)
def test_an_unknown_suite_or_part_is_named_with_what_there_is(suite, skip, word):
    with pytest.raises(SettingError, match=word):
        parts(suite, 5, skip)


def test_a_suite_with_nothing_left_is_refused():
    with pytest.raises(SettingError, match="leaves nothing"):
        parts("utility", 5, skip=("mmmu", "mmstar", "mmvet", "mia_bench", "llava_bench"))


def test_arguments_are_checked_without_the_libraries_that_take_seconds_to_import():
    code = (
        "import sys\n"
        "from lmms_manu.evaluation.evaluate import check_arguments\n"
        "check_arguments({'recipe': 'ratio', 'batch_size': '4'})\n"
        "print({'torch', 'transformers', 'lmms_eval'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
