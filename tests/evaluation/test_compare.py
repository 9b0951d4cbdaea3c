"""Methods at the same cost: what is typed, what is evaluated, and how the real command ends."""

import dataclasses
import json
import shutil

import pytest

from lmms_manu.cli import main
from lmms_manu.errors import SettingError
from lmms_manu.evaluation.compare import Plan
from lmms_manu.evaluation.contenders import Contender, read_contenders
from lmms_manu.methods.registry import METHODS, method_class
from lmms_manu.report import leaderboard
from lmms_manu.report.comparison import compare
from lmms_manu.report.runs import read_runs
from lmms_manu.report.standings import only_section
from lmms_manu.report.verdict import beyond_control, verdict
from lmms_manu.settings import from_arguments


def test_a_method_brings_its_own_strengths_or_those_that_are_typed():
    pruning, training = read_contenders("manu:recipe=ratio:prune_rate=2+10,npo:learning_rate=1e-4")
    assert (pruning.name, pruning.axis, pruning.strengths) == ("manu ratio", "prune_rate", (2, 10))
    assert pruning.strength_text(10) == "10 %"
    points = pruning.points({"forget_ratio": "10"})
    assert points[10].model_args == {"forget_ratio": "10", "method": "manu", "recipe": "ratio", "prune_rate": "10"}
    assert [point.name for point in points.values()] == ["manu-ratio-2", "manu-ratio-10"]
    assert training.strengths == method_class("npo").strengths
    assert training.strength_text(2) == "epochs 2"
    (alone,) = Contender.read("prompting").points({}).values()
    assert alone.model_args == {"method": "prompting"}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_strengths_of_a_method_are_values_that_its_settings_allow(name):
    method = method_class(name)
    assert not method.strengths or method.strength in method.config_class.names()
    for value in method.strengths:
        assert not method(from_arguments({str(method.strength): value}, method.config_class)[0]).changes_nothing()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "names nothing to compare"),
        ("mnau", "Did you mean 'manu'"),
        ("none", "changes nothing"),
        ("manu:recipy=ratio", "Did you mean 'recipe'"),
        ("manu:prune_rate=2+many", "no numbers joined by"),
        ("manu:prune_rate=2,manu:prune_rate=5", "names manu twice: join its strengths"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_way_out(text, told):
    with pytest.raises(SettingError, match=told):
        read_contenders(text)


def test_controls_are_of_the_chosen_strength_and_of_methods_that_have_one():
    pruning, prompting = read_contenders("manu:recipe=ratio:prune_rate=2+10,prompting")
    plan = Plan((pruning, prompting), {"forget_ratio": "10"}, 5.0, controls=2)
    assert [point.name for point in plan.points()] == ["vanilla", "manu-ratio-2", "manu-ratio-10", "prompting"]
    drawn = plan.controls_of(pruning, 10.0)
    assert [point.name for point in drawn] == ["manu-ratio-10-control0", "manu-ratio-10-control1"]
    assert drawn[1].model_args["random_like"] == "ratio"
    assert plan.controls_of(prompting, None) == ()


def test_arguments_are_checked_before_anything_is_evaluated(tmp_path, capsys):
    words = ["compare", "--output", str(tmp_path), "--model-args", "forget_ratio=10", "--methods"]
    assert main.main([*words, "manu:prune_rate=2+300"]) == 2
    assert "prune_rate=300.0 is out of range" in capsys.readouterr().err
    assert main.main([*words, "prompting"]) == 2
    assert "prompting have no strengths to choose from" in capsys.readouterr().err
    assert main.main([*words, "manu", "--budget", "-1"]) == 2
    assert "budget=-1 is out of range" in capsys.readouterr().err
    assert main.main([*words, "manu:prune_rate=2+10", "--gold", "some/gold", "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "manu-10/mllmu_forget" in told
    assert "pretrained=some/gold" in told


CONTROLS = ("manu-ratio-10-control0", "manu-ratio-10-control1")


@pytest.fixture(scope="module")
def embedded(lmms_manu, tmp_path_factory):
    """The embedded model pruned a little and to death, beside gold and a control: folder, words and what was said."""
    out = tmp_path_factory.mktemp("embedded") / "compared"
    words = ["compare", "--methods", "manu:recipe=ratio:prune_rate=10+90", "--gold", "MLLMMU/LLaVA_Gold_10"]
    words += ["--model-args", "forget_ratio=10", "--skip", "mllmu_celebrity,mllmu_test", "--limit", "24"]
    words += ["--control", "2", "--quiet", "--output", str(out)]
    done = lmms_manu(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return out, words, done


def test_a_comparison_ends_in_a_choice_a_table_and_the_page_and_resumes(embedded, lmms_manu):
    out, words, done = embedded
    (selection,) = (one["selection"] for one in json.loads((out / "compare.json").read_text()).values())
    assert [trial["strength"] for trial in selection["trials"]] == [10, 90]
    assert selection["chosen"] == 10, "the other one forgot everything and cost everything"
    assert (out / "manu-ratio-10-control0" / "edit.json").is_file()
    assert (out / "report" / "report.html").is_file()
    assert "| manu ratio |" in (out / "compare.md").read_text()
    assert "manu ratio at 10 % goes furthest" in done.stdout
    assert "No other method" not in done.stdout
    again = lmms_manu(*words)
    assert again.stdout.count("done before") == 12, again.stdout


def test_on_the_embedded_subject_untouched_is_0_gold_is_100_and_a_destroyed_model_has_no_rank(embedded, tmp_path):
    out, _, _ = embedded
    shutil.copytree(out / "vanilla", tmp_path / "untouched")
    names = ("vanilla", "gold", "manu-ratio-10", "manu-ratio-90", *CONTROLS)
    places = [f"untouched={tmp_path / 'untouched'}", *(f"{name}={out / name}" for name in names)]
    report = compare(read_runs(places, ["partial"]), "vanilla", gold="gold", resamples=500)
    rows = {row.name: row for row in only_section(report).rows}
    shares = {name: row.derived["share_forgotten"] for name, row in rows.items() if row.derived}
    assert (shares["untouched"].value, shares["untouched"].interval) == (0, (0, 0))
    assert (shares["gold"].value, shares["gold"].interval) == (100, (100, 100))
    destroyed = {name: cell.value or 0 for name, cell in rows["manu-ratio-90"].derived.items()}
    assert destroyed["share_forgotten"] > 95
    assert destroyed["retain_cost"] > 50
    assert destroyed["damage"] > 20
    said = verdict(only_section(report))
    assert "manu-ratio-90" not in said[0]
    ranking = leaderboard.render(leaderboard.entries_of(report), leaderboard.DEFAULT_SCORE)
    assert "| – | manu-ratio-90 | 100.0 |" in ranking
    assert "| 1 | gold | 100.0 |" in ranking
    for mine, other in (CONTROLS, CONTROLS[::-1]):
        random = dataclasses.replace(rows[mine], controls=(other,))
        assert beyond_control(random, list(rows.values())) == "no", "no further than another draw at the same cost"
