"""The leaderboard file: append-only, mergeable, ranked."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lmms_manu.cli import main as cli
from lmms_manu.errors import DataError, SettingError
from lmms_manu.report import leaderboard
from lmms_manu.report.comparison import compare
from lmms_manu.report.runs import Run


@pytest.fixture(scope="module")
def entries(runs: tuple[Run, ...]) -> list[dict[str, Any]]:
    return leaderboard.entries_of(compare(runs, resamples=100), who="ada")


def test_an_entry_says_what_ran_and_who_when_with_what(entries: list[dict[str, Any]]) -> None:
    entry = entries[1]
    assert entry["who"] == "ada"
    assert entry["added"].endswith("+00:00")
    assert entry["run"]["fingerprint"] == "5eed" * 16
    assert entry["run"]["variant"] == {"recipe": "paper", "prune_rate": 2.0}
    assert entry["baseline"]["method"] == "none"
    assert entry["numbers"]["forget.cloze"]["text"]["value"] >= 0
    assert set(entry["derived"]) >= {"forgetting_rate", "trade_off"}
    assert entry["reported_with"]["lmms-eval"]


def test_appending_twice_adds_once_and_changes_nothing(tmp_path: Path, runs: tuple[Run, ...]) -> None:
    file = tmp_path / "board.json"
    report = compare(runs, resamples=100)
    leaderboard.append(file, leaderboard.entries_of(report, who="ada"))
    before = json.loads(file.read_text(encoding="utf-8"))["entries"]
    leaderboard.append(file, leaderboard.entries_of(report, who="grace"))
    assert json.loads(file.read_text(encoding="utf-8"))["entries"] == before
    assert len(before) == 3
    assert {entry["who"] for entry in before} == {"ada"}


def test_merging_loses_nothing_and_counts_nothing_twice(tmp_path: Path, entries: list[dict[str, Any]]) -> None:
    one, other, merged = (tmp_path / f"{name}.json" for name in ("one", "other", "merged"))
    leaderboard.append(one, entries[:2])
    leaderboard.append(other, entries[1:])
    leaderboard.append(merged, [], merge=[one, other])
    assert {entry["id"] for entry in leaderboard.read(merged)} == {entry["id"] for entry in entries}
    leaderboard.append(merged, [], merge=[other, one])
    assert len(leaderboard.read(merged)) == 3


def test_many_processes_may_append_at_once(tmp_path: Path, entries: list[dict[str, Any]]) -> None:
    file = tmp_path / "board.json"
    code = (
        "import json, sys; from lmms_manu.report import leaderboard\n"
        "leaderboard.append(sys.argv[1], [json.loads(sys.argv[2])])"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(file), json.dumps(entry)]) for entry in entries]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert len(leaderboard.read(file)) == 3


def test_a_changed_entry_is_noticed(tmp_path: Path, entries: list[dict[str, Any]]) -> None:
    file = tmp_path / "board.json"
    leaderboard.append(file, entries)
    content = json.loads(file.read_text(encoding="utf-8"))
    content["entries"][1]["derived"]["trade_off"]["value"] = 99.0
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match="was changed after it was added"):
        leaderboard.append(file, [])


@pytest.mark.parametrize("damage", [{"run": None}, {"run": []}, {"who": None}, {"added": 3}, {"numbers": float("nan")}])
def test_a_damaged_entry_is_told(tmp_path: Path, entries: list[dict[str, Any]], damage: dict[str, Any]) -> None:
    file = tmp_path / "board.json"
    leaderboard.append(file, entries)
    content = json.loads(file.read_text(encoding="utf-8"))
    content["entries"][1].update(damage)
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=r"board\.json.* (entry 2 is incomplete|was changed after it was added)"):
        leaderboard.read(file)


@pytest.mark.parametrize("damaged", [None, {}, 3, [3], [None], ["entry"], [{}]])
def test_damaged_entries_are_told(tmp_path: Path, damaged: Any) -> None:
    file = tmp_path / "board.json"
    file.write_text(json.dumps({"schema": "lmms-manu/leaderboard", "version": 1, "entries": damaged}), encoding="utf-8")
    with pytest.raises(DataError, match=r"board\.json is damaged"):
        leaderboard.read(file)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"schema": "other"}', '{"schema": "lmms-manu/leaderboard", "version": 99}']
)
def test_another_file_is_refused_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    file = tmp_path / "board.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"board\.json"):
        leaderboard.append(file, [])
    assert file.read_text(encoding="utf-8") == content


def test_the_ranking_is_by_the_stated_score(entries: list[dict[str, Any]]) -> None:
    def order(score: str, budget: float = 6) -> list[str]:
        text = leaderboard.render(entries, score, budget)
        lines = [line for line in text.splitlines() if line.startswith("| ")][1:]
        return [line.split(" | ")[1].replace("\\", "") for line in lines]

    names = {entry["name"]: entry for entry in entries}
    by_trade_off = sorted(
        (name for name, entry in names.items() if "trade_off" in entry["derived"]),
        key=lambda name: -names[name]["derived"]["trade_off"]["value"],
    )
    # "manu ratio 10 %" lost more than the budget.
    assert by_trade_off == ["manu ratio 10 %", "manu paper 2 %"]
    assert order("trade_off") == ["manu paper 2 %", "manu ratio 10 %", "vanilla"]
    assert order("forget.cloze", 100)[0] == "manu ratio 10 %"
    assert order("retain.cloze")[0] == "vanilla"
    with pytest.raises(SettingError, match="Did you mean 'trade_off'"):
        leaderboard.render(entries, "tradeoff")


def test_who_loses_more_than_the_budget_has_no_rank_old_entries_too(entries: list[dict[str, Any]]) -> None:
    def places(given: list[dict[str, Any]], budget: float) -> dict[str, str]:
        text = leaderboard.render(given, "forgetting_rate", budget)
        cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
        return {name.replace("\\", ""): place.removeprefix("| ") for place, name, *_ in cells}

    old = copy.deepcopy(entries)
    for entry in old:
        entry["derived"] = {name: one for name, one in entry["derived"].items() if not name.endswith("_cost")}
    for given in (entries, old):
        assert places(given, 100)["manu ratio 10 %"] == "1"
        within = places(given, 10)
        assert (within["manu paper 2 %"], within["manu ratio 10 %"], within["vanilla"]) == ("1", "–", "–")


def test_models_of_different_bases_never_stand_in_one_ranking(entries: list[dict[str, Any]]) -> None:
    other = copy.deepcopy(entries[1])
    other["baseline"]["checkpoint"] = "somebody/a-model-of-7b"
    text = leaderboard.render([*entries, other])
    assert text.count("## Forget 10 %") == 2
    assert "## Forget 10 %, a-model-of-7b" in text


def test_nor_do_models_of_one_name_and_different_sizes(entries: list[dict[str, Any]]) -> None:
    sizes = []
    for parameters in (7_063_427_072, 513_000):
        entry = copy.deepcopy(entries[1])
        entry["baseline"]["edit"] = {"checkpoint": "MLLMMU/LLaVA_Vanilla", "details": {"parameters": parameters}}
        sizes.append(entry)
    headings = [line for line in leaderboard.render(sizes).splitlines() if line.startswith("## ")]
    names = ("LLaVA\\_Vanilla (0.5 million parameters)", "LLaVA\\_Vanilla (7,063.4 million parameters)")
    assert headings == [f"## Forget 10 %, {name}" for name in names]


def test_the_command_appends_merges_and_ranks(
    written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board, other = tmp_path / "board.json", tmp_path / "other.json"
    options = ["--resamples", "50", "--who", "ada"]
    assert cli.main(["report", str(written / "vanilla"), str(written / "ratio"), "--append", str(other), *options]) == 0
    assert cli.main(["report", str(written / "vanilla"), str(written / "paper"), "--append", str(board), *options]) == 0
    assert cli.main(["report", "--append", str(board), "--merge", str(other)]) == 0
    assert "holds 3 entries" in " ".join(capsys.readouterr().out.split())
    assert "Ranked by Share forgotten" in (tmp_path / "board.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("append", "told"),
    [("board.md", "ends in .md"), ("notes.json", "notes.md, which is no ranking"), (".", "is a folder")],
)
def test_the_ranking_is_written_over_nothing_but_a_ranking(
    append: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.md").write_text("# Notes\n", encoding="utf-8")
    leaderboard.append("other.json", [])
    assert cli.main(["report", "--append", append, "--merge", "other.json"]) == 2
    assert told in capsys.readouterr().err
    assert (tmp_path / "notes.md").read_text(encoding="utf-8") == "# Notes\n"
    assert not (tmp_path / "board.md").exists()


def test_entries_of_different_versions_are_told_below_their_ranking(entries: list[dict[str, Any]]) -> None:
    assert "Different versions" not in leaderboard.render(entries)
    other = copy.deepcopy(entries[1])
    other["name"] = "older"
    other["run"]["versions"] = {**other["run"]["versions"], "lmms-eval": "0.7.2"}
    other["run"]["task_versions"]["mllmu_forget_10_cloze_text"] = "1.0"
    told = leaderboard.render([*entries, other])
    assert "Different versions of packages: lmms-eval (" in told
    assert "0.7.2 in older" in told
    assert "Different versions of tasks: mllmu_forget_10_cloze_text (" in told
