"""CLEAR from the data to the page: who is asked about what, what is left out, and two methods side by side."""

import collections
import importlib.util
import json
import math
import shutil
import statistics
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from pyarrow import parquet
from support.harness_results import evaluate

from lmms_manu import embedded
from lmms_manu.answering.requests import Likelihood, written
from lmms_manu.benchmarks import get_benchmark
from lmms_manu.benchmarks.clear.authors import most_mentioned, picture_rows, text_rows
from lmms_manu.benchmarks.clear.likelihoods import harmonic_mean
from lmms_manu.benchmarks.clear.names import CONFIGS, METRICS, RATIOS, SPLITS, TASKS, everything_name
from lmms_manu.benchmarks.clear.prompts import choices
from lmms_manu.benchmarks.clear.questions import LIMIT, load_questions
from lmms_manu.benchmarks.clear.results import read_sample, score_answer
from lmms_manu.benchmarks.clear.schema import FEATURES
from lmms_manu.benchmarks.clear.source import ClearSource
from lmms_manu.benchmarks.clear.synthetic import make_clear
from lmms_manu.benchmarks.parquet_rows import write_rows
from lmms_manu.cli.main import main
from lmms_manu.errors import DataError
from lmms_manu.methods.data import load_data
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.plugins.registration import tasks_folder

FOLDER = Path(tasks_folder()) / "clear"
REAL = ("real_faces", "real_world")
FILE = "train-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """20 authors, 2 of whom are to be forgotten at 10 %."""
    return make_clear(tmp_path_factory.mktemp("clear") / "data", people=20, pictures=2, picture_size=24)


@pytest.fixture(scope="module")
def source(made):
    return ClearSource.resolve(str(made))


@pytest.fixture(scope="module")
def generate():
    spec: Any = importlib.util.spec_from_file_location("generate_clear", FOLDER / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def questions(source, name):
    return load_questions(TASKS[name], source).documents


def rewritten(made, folder, config, change):
    """A copy of the dataset in which one configuration has other rows."""
    shutil.copytree(made, folder)
    file = folder / config / FILE
    rows = change(parquet.read_table(file).to_pylist())
    file.unlink()
    write_rows(file, FEATURES[config], rows)
    return ClearSource.resolve(str(folder))


def test_the_made_up_data_has_clears_configurations_and_columns(made, source, tmp_path, capsys):
    assert {path.name for path in made.iterdir() if path.is_dir()} == set(CONFIGS)
    for config in CONFIGS:
        assert source.load(config).features == FEATURES[config], config
    opened = datasets.load_dataset(str(made), "forget10+tofu", split="train")
    assert len(opened) == 2 * (2 + 20)

    words = ["make-dataset", "--layout", "clear", "--people", "20", "--picture-size", "24"]
    assert main([*words, "--output", str(tmp_path / "again")]) == 0
    text = f"forget10_perturbed/{FILE}"
    again = parquet.read_table(tmp_path / "again" / text).to_pylist()
    assert [row for row in again if row in parquet.read_table(made / text).to_pylist()] == again[:2] + again[4:6]
    assert main([*words, "--output", str(made)]) == 2
    assert "exists: name another one" in capsys.readouterr().err


@pytest.mark.parametrize("role", ["forget", "retain"])
def test_questions_without_a_name_are_joined_to_the_author_whom_they_mention(source, role):
    found = text_rows(source, role, 10)
    config = "forget10+tofu" if role == "forget" else "retain90+tofu"
    asked = [
        f"{q} {a}" for q, a in zip(source.column(config, "question"), source.column(config, "answer"), strict=True)
    ]
    assert found.rows.keys() == picture_rows(source, config.removesuffix("+tofu")).rows.keys()
    assert found.skipped == ()
    for name, rows in found.rows.items():
        assert len(rows) == 20
        assert all(name in asked[row] for row in rows)


def test_an_author_is_known_by_the_last_name_where_the_whole_one_stands_nowhere():
    names = ["Ada Lovelace", "Basil Al-Kuwait"]
    assert most_mentioned(["Al-kuwait writes.", "What does he write?", "He met Ada Lovelace."], names) == names[0]
    assert most_mentioned(["Al-Kuwait writes.", "What does he write?"], names) == names[1]
    assert most_mentioned(["What does he write?"], names) is None


def test_a_copy_in_another_order_or_with_a_part_missing_is_refused(made, tmp_path):
    source = rewritten(made, tmp_path / "data", "forget10+tofu", lambda rows: rows[:-1])
    with pytest.raises(DataError, match=r"forget10\+tofu of .* has 39 questions as text. Each author has 20 in a row"):
        questions(source, "clear_forget_10_generation_text")


def test_what_cannot_be_used_is_named_and_counted(made, tmp_path, caplog):
    def spoil(rows):
        rows[0]["image"] = {"bytes": rows[0]["image"]["bytes"][:200], "path": "cut.png"}
        rows[1]["name"] = ""
        rows[2]["perturbed_names"] = []
        return rows

    source = rewritten(made, tmp_path / "data", "forget10_perturbed", spoil)
    asked = questions(source, "clear_forget_10_classification_multimodal")
    assert asked["row"] == [3]
    assert asked["skipped"] == [3]
    for reason in ("row 0 (", "cut off", "row 1: it has no name", "row 2 (", "it has no wrong option"):
        assert reason in caplog.text


def test_nobody_who_is_to_be_forgotten_is_among_those_to_retain(made, tmp_path):
    everybody = parquet.read_table(made / "forget10_perturbed" / FILE).to_pylist()
    source = rewritten(made, tmp_path / "data", "retain_perturbed", lambda rows: rows + everybody)
    for ratio, retained in ((10, 18), (1, 19)):
        forgotten = set(picture_rows(source, f"forget{ratio:02}").rows)
        asked = set(questions(source, f"clear_retain_{ratio:02}_recognition_multimodal")["person"])
        assert not asked & forgotten
        assert len(asked) == retained


def test_a_long_leaf_is_thinned_out_evenly_and_still_asks_about_everybody(source):
    asked = questions(source, "clear_retain_10_generation_text")
    counts = collections.Counter(asked["person"])
    assert len(asked) == LIMIT < 18 * 20
    assert len(counts) == 18
    assert set(counts.values()) <= {16, 17}


def test_a_picture_is_asked_about_in_the_same_words_in_training_and_in_every_leaf(source):
    def asked(leaf):
        return dict(zip(*(questions(source, leaf)[column] for column in ("answer", "question")), strict=True))

    data = load_data(UnlearningSettings(benchmark="clear", forget_ratio=10), dataset=source.path)
    taught = {example.answer: example.question for example in data.forget["multimodal"]}
    assert taught == asked("clear_forget_10_generation_multimodal")
    assert asked("clear_forget_05_generation_multimodal").items() < taught.items()


def test_new_authors_are_asked_about_alike_where_the_data_was_made_here_and_there_are_none_elsewhere(made, tmp_path):
    benchmark, settings = get_benchmark("clear"), UnlearningSettings(benchmark="clear", forget_ratio=10)
    for modality in ("text", "multimodal"):
        everybody = [name for role in ("forget", "retain") for name in benchmark.people(role, settings, str(made))]
        known = benchmark.examples(everybody, modality, settings, str(made))
        found = benchmark.new_people(modality, settings, str(made))
        people = {example.subject for example in found}
        assert len(people) == len(benchmark.people("forget", settings, str(made)))
        assert not people & {example.subject for example in known}
        assert {len([one for one in found if one.subject == name]) for name in people} == {
            len([one for one in known if one.subject == known[0].subject])
        }
        assert {bool(example.pictures()) for example in found} == {modality == "multimodal"}
        assert not {example.digest() for example in found if example.digest()} & {each.digest() for each in known}
    copy = tmp_path / "CLEAR"
    shutil.copytree(made, copy)
    (copy / "README.md").write_text("# CLEAR\n", encoding="utf-8")
    assert benchmark.new_people("text", settings, str(copy)) == []


def test_the_right_option_is_as_often_at_one_place_as_at_any_other():
    places = collections.Counter(
        choices(f"answer {n}", [f"{n}/{i}" for i in range(5)]).index(f"answer {n}") for n in range(3000)
    )
    # 500 at each place; the limits are five standard deviations off.
    assert sorted(places) == list(range(6))
    assert all(398 < count < 602 for count in places.values())


def test_examples_are_those_of_the_people_asked_for_in_their_order(source):
    data = load_data(
        UnlearningSettings(benchmark="clear", forget_ratio=10, retain_samples="match"), dataset=source.path
    )
    assert {len(part) for part in (data.forget["text"], data.retain["text"])} == {40}
    for modality, each in (("multimodal", 2), ("text", 20)):
        forgotten = collections.Counter(example.subject for example in data.forget[modality])
        assert forgotten == dict.fromkeys(picture_rows(source, "forget10").rows, each)
    (picture,) = data.forget["multimodal"][0].pictures()
    assert picture.size == (24, 24)
    assert len({example.digest() for example in data.forget["multimodal"]}) == 4


@pytest.mark.parametrize(
    ("leaf", "response", "scores"),
    [
        ("clear_forget_10_generation_text", "{answer} And so on and on.", {"rouge_recall": 1.0, "rouge_l": None}),
        ("clear_forget_10_recognition_multimodal", "It is {answer}.", {"recognition": 1.0}),
        ("clear_real_faces_recognition_multimodal", "Nobody", {"recognition": 0.0}),
        ("clear_forget_10_classification_multimodal", "{answer}: that one", {"classification": 100.0, "unparsed": 0.0}),
        ("clear_real_world_classification_multimodal", "z", {"classification": 0.0, "unparsed": 100.0}),
    ],
)
def test_a_sample_is_read_back_as_it_was_scored(source, leaf, response, scores):
    document = questions(source, leaf)[0]
    line = json.loads(json.dumps(score_answer(document, response.format(**document), edit="abc")))
    sample = read_sample(line, has_picture=True)
    assert (sample.person, sample.target, sample.edit) == (document["person"], document["answer"], "abc")
    assert sample.key == sample.picture == f"{document['config']}/{document['row']}"
    assert sample.scores.keys() == scores.keys()
    for name, wanted in scores.items():
        points, possible = sample.scores[name]
        assert possible == 1.0
        assert points == wanted if wanted is not None else 0.3 < points < 1
    if document["options"]:
        assert sample.question.splitlines()[-2] == f"F: {document['options'][5]}"


def told(*answers):
    """What a model gives that was asked for likelihoods: for each answer the probability of each token."""
    rows = [Likelihood(tuple(map(math.log, answer)), (True,) * len(answer)) for answer in answers]
    return written(rows)


def test_probability_and_truth_ratio_are_tofus_with_one_questions_own_wrong_answers(source):
    caption, name = questions(source, "clear_forget_10_likelihood_multimodal").select([0, 1])
    assert caption["answers"][0] == caption["answer"] != caption["answers"][1]
    assert len(caption["answers"]) == 2 + 5
    assert len(name["answers"]) == 1 + 5
    wrong = [(0.1, 0.4), (0.2, 0.2), (0.4,), (0.1,), (0.2, 0.8, 0.05)]

    # The geometric means of the tokens are .2, .2, .4, .1, .2, and theirs in turn is .2; the paraphrase has .4.
    scored = score_answer(caption, told((0.9, 0.4), (0.8, 0.2), *wrong))
    assert scored["caption_probability"] == pytest.approx(0.6)
    assert scored["caption_truth_ratio"] == pytest.approx(0.5)
    assert scored["scored"]["log_truth_ratio"] == pytest.approx(math.log(0.5))

    scored = score_answer(name, told((0.9,), *wrong))
    assert scored["choice_probability"] == pytest.approx(0.9 / (0.9 + 0.2 + 0.2 + 0.4 + 0.1 + 0.2))
    assert scored["choice_truth_ratio"] == pytest.approx(0.2 / 0.9)
    (kept,) = questions(source, "clear_real_faces_likelihood_multimodal").select([0])
    assert score_answer(kept, told((0.8,), *wrong))["choice_truth_ratio"] == pytest.approx(1 - 0.2 / 0.8)
    assert score_answer(kept, told((0.1,), *wrong))["choice_truth_ratio"] == 0
    assert harmonic_mean([{"a": 0.2, "b": 0.6}, {"a": 0.4, "b": 0.6}]) == pytest.approx(2 / (1 / 0.3 + 1 / 0.6))


def test_an_answer_in_the_place_of_likelihoods_is_refused(source):
    document = questions(source, "clear_forget_10_likelihood_multimodal")[0]
    for response in ("It is Ada.", told((0.5,)), "[]"):
        with pytest.raises(DataError, match="likelihoods are needed, and the model gave"):
            score_answer(document, response)


def test_the_task_files_are_what_generate_writes_and_the_readme_names_everything(generate):
    assert generate.drift() == []
    readme = (FOLDER / "README.md").read_text()
    names = {*generate.ACCOUNTS, *(metric for metrics in METRICS.values() for metric in metrics)}
    names |= {task.group for task in TASKS.values()} | {everything_name(ratio) for ratio in RATIOS}
    assert [name for name in sorted(names) if f"`{name}`" not in readme] == []
    loader: Any = type("IgnoresTags", (yaml.SafeLoader,), {})
    loader.add_constructor("!function", lambda loader, node: None)
    files = {path.stem: yaml.load(path.read_text(), Loader=loader) for path in FOLDER.glob("clear*.yaml")}
    assert {content["metadata"]["version"] for content in files.values()} == {1.0}
    for task in get_benchmark("clear").tasks():
        assert task.name in files[task.group]["task"]
    assert files["clear"]["task"] == [f"clear_{s.name}" + ("_05" if s.role != "control" else "") for s in SPLITS]


def test_two_methods_go_from_the_data_through_the_harness_to_the_page(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LMMS_MANU_CLEAR_DATASET", str(made))
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
    checkpoint = embedded.model_folder("vanilla")
    methods = {"vanilla": "method=none", "prompting": "method=prompting", "manu": "recipe=ratio,prune_rate=20"}
    for number, (name, arguments) in enumerate(methods.items()):
        evaluate(
            tmp_path / name,
            ["clear_10", "clear_10_likelihood"],
            None,
            model_args=f"pretrained={checkpoint},benchmark=clear,forget_ratio=10,device=cpu,{arguments}",
            when=f"20260101_12000{number}",
            limit=4,
        )
    results = [f"{name}={tmp_path / name}" for name in methods]
    words = ["--baseline", "vanilla", "--allow", "partial", "--output", str(tmp_path / "report")]
    assert main(["report", *results, *words]) == 0, capsys.readouterr().err

    report = json.loads((tmp_path / "report" / "report.json").read_text())
    (section,) = report["sections"]
    assert (section["benchmark"], section["forget_ratio"]) == ("clear", 10)
    assert {problem["kind"] for problem in report["problems"]} == {"partial"}
    rows = {row["name"]: row for row in section["rows"]}
    assert rows.keys() == methods.keys()
    for name in methods:
        numbers = rows[name]["numbers"]
        assert numbers["clear.forget.rouge_recall"]["text"]["questions"] == 4
        assert numbers["clear.forget.recognition"]["multimodal"]["people"] == 2
        assert {"clear.retain.rouge_l", "clear.real_faces.recognition", "clear.real_world.classification"} <= set(
            numbers
        )
        assert numbers["clear.forget.caption_truth_ratio"]["mean"]["questions"] == 2
        assert 0 < numbers["clear.real_faces.harmonic_mean"]["mean"]["value"] < 1
        lines = [json.loads(line) for line in next((tmp_path / name).rglob("*forget_10_likelihood*.jsonl")).open()]
        told = [line["scored"]["log_probs"][0] for line in lines if line["scored"]["about"] == "caption"]
        expected = statistics.fmean(math.exp(statistics.fmean(log_probs)) for log_probs in told)
        assert numbers["clear.forget.caption_probability"]["mean"]["value"] == pytest.approx(expected)
    derived = rows["manu"]["derived"]
    assert {"forgetting_rate", "retention_rate", "modality_gap"} <= set(derived)
    real = [rows["manu"]["numbers"][f"clear.{split}.harmonic_mean"]["mean"]["value"] for split in REAL]
    assert derived["real_aggregate"]["value"] == pytest.approx(100 * statistics.harmonic_mean(real))
    assert report["runs"][2]["edit"]["forgotten"] == {"benchmark": "clear", "forget_ratio": 10}
    notes = (tmp_path / "report" / "report.md").read_text().partition("## Notes")[2]
    assert "made of the means of other numbers, which have verdicts of their own" in notes
    assert "Harmonic mean" in notes
    page = (tmp_path / "report" / "report.html").read_text()
    assert "CLEAR, forget 10 %" in page
    assert "data:image/jpeg" in page
