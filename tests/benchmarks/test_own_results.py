"""The user's own people from the tables through the harness to report, page, gate and leaderboard."""

import json
import math

import pytest
from PIL import Image
from support.harness_results import evaluate
from support.models import save_llava

from lmms_manu.answering.requests import Likelihood, written
from lmms_manu.cli.main import main
from lmms_manu.methods.record import EditRecord
from lmms_manu.plugins import kept_model

TOWNS = ("Oslo", "Rome", "Bonn", "Lima")
PEOPLE = 8
GROUPS = ("own_forget", "own_retain", "own_forget_likelihood", "own_retain_likelihood")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Two tables of eight people: each has a picture to tell about, and a question with options as text; no blank."""
    folder = tmp_path_factory.mktemp("tables")
    for number, name in enumerate(("people", "others")):
        rows = []
        for person in range(PEOPLE):
            who, picture = f"{name.title()} {person}", f"{name}-{person}.jpg"
            Image.new("RGB", (32, 32), (30 * person, 90 * number, 0)).save(folder / picture)
            told = {"subject": who, "question": "What does this person do?", "answer": "A baker", "image": picture}
            asked = {"subject": who, "question": f"Where does {who} live?", "answer": TOWNS[person % 4]}
            rows += [told, {**asked, "options": TOWNS}]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"forget": str(folder / "people.jsonl"), "retain": str(folder / "others.jsonl")}


def knows(forget, retain):
    """An answerer that knows so much of each set, from 0 to 1: by person, and as a probability."""

    def answer(document):
        share = forget if "_forget_" in document["leaf"] else retain
        if document["answers"]:
            shares = [share] + [0.1] * (len(document["answers"]) - 1)
            return written([Likelihood((math.log(each),), (each > 0.5,)) for each in shares])
        return document["answer"] if int(document["person"].split()[-1]) < share * PEOPLE else "Z"

    return answer


@pytest.fixture(scope="module")
def results(tables, tmp_path_factory):
    """The words that name the results of vanilla, of gold, and of a model that forgot half."""
    folder = tmp_path_factory.mktemp("results")
    named = ",".join(f"{name}={path}" for name, path in tables.items())
    edit = EditRecord(
        method="manu",
        checkpoint="mine",
        change="mask",
        variant={"recipe": "paper", "prune_rate": 2},
        units={"prune_rate": "%"},
        strength="prune_rate",
        forgotten={"benchmark": "own", "forget": tables["forget"]},
        fingerprint="5eed" * 16,
        counts={"language": (3, 40)},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMMS_MANU_OWN_DATA", named)
        vanilla = f"pretrained=mine,method=none,benchmark=own,{named}"
        evaluate(folder / "vanilla", GROUPS, knows(0.9, 0.9), model_args=vanilla)
        gold = vanilla.replace("pretrained=mine", "pretrained=gold")
        evaluate(folder / "gold", GROUPS, knows(0.1, 0.9), model_args=gold)
        evaluate(folder / "edited", GROUPS, knows(0.4, 0.85), model_args=f"pretrained=mine,{named}", edit=edit)
    return [f"{name}={folder / name}" for name in ("vanilla", "gold", "edited")]


def test_what_the_tables_have_no_questions_for_is_left_out_of_the_report_and_said_once(results, tmp_path, capsys):
    assert main(["report", *results, "--output", str(tmp_path)]) == 0, capsys.readouterr().err
    report = json.loads((tmp_path / "report.json").read_text())
    (section,) = report["sections"]
    assert (section["benchmark"], section["forget_ratio"]) == ("own", None)
    edited = section["rows"][2]
    numbers = edited["numbers"]
    # Eight people, of whom the first four are known; the other half of each set was never asked with a picture.
    assert numbers["own.forget.classification"]["mean"]["value"] == 50
    assert numbers["own.forget.classification"].keys() == {"mean", "text"}
    assert numbers["own.forget.rouge_l"]["mean"]["value"] == 0.5
    assert numbers["own.forget.answer_probability"]["mean"]["value"] == pytest.approx(0.4)
    assert numbers["own.forget.option_probability"]["mean"]["value"] == pytest.approx(0.4 / 0.7)
    assert numbers["own.forget.truth_ratio"]["mean"]["value"] == pytest.approx(0.25)
    assert numbers["own.retain.truth_ratio"]["mean"]["value"] == pytest.approx(1 - 0.1 / 0.85)
    assert not [name for name in numbers if "cloze" in name]
    derived = edited["derived"]
    assert derived["forgetting_rate"]["value"] == pytest.approx(50)
    # Vanilla knows eight people, gold one, and this model four.
    assert derived["share_forgotten"]["value"] == pytest.approx(100 * 4 / 7)
    (quality,) = edited["forget_quality"]
    assert (quality["split"], quality["modality"], quality["test"]["people"]) == ("Forget set", "text", PEOPLE)
    assert quality["test"]["statistic"] == 1
    (told,) = [problem["message"] for problem in report["problems"]]
    assert told.startswith("Own data: there are no questions for own_forget_classification_multimodal")
    page = (tmp_path / "report.html").read_text()
    assert "data:image/jpeg" in page
    assert "own_retain_cloze_text" in page


def test_a_gate_judges_them_and_a_leaderboard_lists_them(results, tmp_path, capsys):
    conditions = tmp_path / "gate.yaml"
    for asked, code in (
        ("metric: own.forget.classification, at_most: 60", 0),
        ("metric: own.retain.rouge_l, at_least: 0.95", 1),
        ("metric: own.forget.cloze, at_most: 60", 1),
    ):
        conditions.write_text(f"version: 1\nconditions:\n  - {{{asked}}}\n")
        assert main(["gate", "--config", str(conditions), *results, "--baseline", "vanilla"]) == code
    assert "not measured" in capsys.readouterr().out
    board = tmp_path / "board.json"
    words = ["--append", str(board), "--rank-by", "own.forget.classification"]
    assert main(["report", *results, *words, "--output", str(tmp_path / "report")]) == 0
    assert "## Own data" in board.with_suffix(".md").read_text()
    assert {entry["benchmark"] for entry in json.loads(board.read_text())["entries"]} == {"own"}


def test_a_model_is_taught_the_people_to_retain_alone(tables, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
    words = [f"--{name}={path}" for name, path in tables.items()]
    words += [f"--pretrained={save_llava(tmp_path / 'tiny')}", "--epochs=1", "--device=cpu"]
    assert main(["finetune", "--set", "retain", *words, "--output", str(tmp_path / "gold")]) == 0
    assert "forget/text (not taught)" in capsys.readouterr().out
    samples = EditRecord.of_checkpoint(str(tmp_path / "gold")).samples
    assert (samples["retain/multimodal"], samples["retain/text"]) == (PEOPLE, PEOPLE)


def test_one_model_reads_the_likelihoods_of_both_sets_in_evaluations_of_their_own(tables, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_model, "_kept", {})
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
    named = ",".join(f"{name}={path}" for name, path in tables.items())
    arguments = f"pretrained={save_llava(tmp_path / 'tiny')},method=none,device=cpu,{named}"
    for name in ("forget", "retain"):
        evaluate(tmp_path / name, [f"own_{name}_likelihood"], None, model_args=arguments)
        (file,) = (tmp_path / name).rglob("*likelihood_text.jsonl")
        scored = [json.loads(line)["scored"] for line in file.open()]
        assert len(scored) == PEOPLE
        assert {len(one["log_probs"]) for one in scored} == {4}
        # A byte is a token.
        assert {(one["target"], len(one["log_probs"][0])) for one in scored} == {
            (town, len(town) + 1) for town in TOWNS
        }
    assert len(kept_model._kept or {}) == 1
