"""The tasks in the real harness: what they ask, how they score, what they leave in the results."""

import json
import logging
import statistics

import pytest
from lmms_eval.utils import make_table
from support.judge_server import JudgeServer, completion, verdict
from support.rows import altered
from support.rule_models import ChatRule, SimpleRule

from lmms_manu.benchmarks.answer_scores import rouge
from lmms_manu.benchmarks.mllmu import DatasetSource, Leaf, ProtocolSettings
from lmms_manu.benchmarks.mllmu.names import ACCOUNTS, METRICS, TASKS
from lmms_manu.benchmarks.mllmu.questions import load_questions
from lmms_manu.errors import DataError, SettingError
from lmms_manu.methods.evaluated import note_evaluated
from lmms_manu.methods.record import EditRecord
from lmms_manu.names import MODALITIES

COLUMNS = ("classification_accuracy", "rouge_l", "cloze_accuracy")


def test_right_answers_score_in_full_in_every_split(evaluate):
    results = evaluate("mllmu_15")["results"]
    for group in ("mllmu_forget_15", "mllmu_test_15", "mllmu_retain_15", "mllmu_celebrity"):
        assert [results[group][f"{column},none"] for column in COLUMNS] == [100.0, pytest.approx(1.0), 100.0]
        assert results[group]["factuality,none"] is None


def test_a_group_shows_the_mean_of_both_modalities(evaluate):
    def only_with_picture(document):
        return document["answer"] if document["picture"] >= 0 else "-"

    results = evaluate("mllmu_retain", model=ChatRule(only_with_picture))["groups"]["mllmu_retain"]
    assert [results[f"{column},none"] for column in COLUMNS] == [50.0, pytest.approx(0.5), 50.0]


@pytest.mark.parametrize("kind", [ChatRule, SimpleRule])
@pytest.mark.parametrize("modality", MODALITIES)
def test_every_kind_of_model_is_asked_the_released_prompt_with_its_pictures(evaluate, kind, modality):
    model = kind()
    evaluate(*(f"mllmu_retain_{task}_{modality}" for task in TASKS), model=model)
    assert len(model.contexts) == 18 * 5 + 19 * 2 + 17 * 2
    for context, asked in zip(model.contexts, model.asked, strict=True):
        assert asked.released == context
        assert context.count("<image>") == len(asked.pictures) == (0 if modality == "text" else len(asked.pictures))
        assert context.startswith("USER:")


def test_answers_are_greedy_of_at_most_fifty_tokens_with_nothing_that_ends_them(evaluate):
    model = ChatRule()
    evaluate("mllmu_forget", model=model)
    assert {json.dumps(generation, sort_keys=True) for generation in model.generation} == {
        json.dumps({"do_sample": False, "max_new_tokens": 50, "temperature": 0.0, "until": []})
    }


def test_unparsed_answers_are_counted(evaluate):
    leaf = "mllmu_retain_classification_text"
    results = evaluate(leaf, model=ChatRule(lambda document: "" if document["number"] else "Z"))["results"][leaf]
    assert results["unparsed,none"] == results["scored,none"] == 90
    assert results["classification_accuracy,none"] == 0


def test_the_harnesss_table_is_of_scores_with_the_direction_that_is_good(evaluate):
    forgotten, kept = "mllmu_test_15_classification_text", "mllmu_retain_classification_text"
    results = evaluate(forgotten, kept)
    assert results["results"][kept]["scored,none"] == 90
    rows = [[cell.strip(" -") for cell in line.split("|")[1:-1]] for line in make_table(results).splitlines()]
    shown = {(row[0], row[3]): row[4] for row in rows if row and row[0] in (forgotten, kept)}
    scores = ("classification_accuracy", "answer_score", "clustered_score")
    assert shown == {(leaf, score): arrow for leaf, arrow in ((forgotten, "↓"), (kept, "↑")) for score in scores}


def test_the_samples_tell_who_was_asked_what_and_what_was_right(evaluate, folder):
    leaf = "mllmu_test_15_cloze_multimodal"
    results = evaluate(leaf, model=ChatRule(lambda document: "Oslo it is"))
    questions = load_questions(
        Leaf("test", 15, "cloze", "multimodal"), DatasetSource.resolve(str(folder)), ProtocolSettings()
    )
    samples = results["samples"][leaf]
    assert len(samples) == len(questions.documents)
    for sample, document in zip(samples, questions.documents, strict=True):
        scored = sample["scored"]
        assert (scored["person"], scored["question"]) == (document["person"], document["question"])
        assert (scored["response"], scored["target"]) == ("Oslo it is", document["answer"])
        assert scored["exemplars"] == list(questions.exemplars)
        assert scored["picture"] == {"config": "Test_Set", "row": document["row"], "index": document["picture"]}
        assert scored["points"] == sample["cloze_accuracy"] / 100 == float("oslo" in document["answer"].lower())
        assert scored["edit"] is None
    assert results["configs"][leaf]["metadata"]["run"]["exemplars"] == list(questions.exemplars)
    assert results["configs"][leaf]["metadata"]["run"]["dataset"] == str(folder)


def test_samples_and_results_are_json_without_pictures(evaluate):
    results = evaluate("mllmu_forget_15")
    dumped = json.dumps(results, default=lambda value: f"<<{type(value).__name__}>>")
    assert "Image" not in dumped.replace("Image_Textual", "")
    assert "<<bytes>>" not in dumped
    assert len(dumped) < 400_000


def test_a_limit_counts_questions_of_each_leaf(evaluate):
    results = evaluate("mllmu_retain", limit=3)["results"]
    leaves = [f"mllmu_retain_{task}_{modality}" for task in TASKS for modality in MODALITIES]
    assert {results[leaf]["scored,none"] for leaf in leaves} == {3}


def test_the_record_of_an_edit_is_in_results_and_samples(evaluate):
    note_evaluated(EditRecord("manu", "somewhere", "mask", forgotten={"forget_ratio": 15}, fingerprint="abc"))
    try:
        results = evaluate("mllmu_forget_15_cloze_text")
    finally:
        note_evaluated(None)
    run = results["configs"]["mllmu_forget_15_cloze_text"]["metadata"]["run"]
    assert (run["edit"]["method"], run["edit"]["fingerprint"]) == ("manu", "abc")
    assert {sample["scored"]["edit"] for sample in results["samples"]["mllmu_forget_15_cloze_text"]} == {"abc"}


def test_exemplars_and_seed_follow_the_environment(evaluate, monkeypatch):
    leaf = "mllmu_retain_cloze_text"
    chosen = []
    for seed, count in (("0", "2"), ("1", "2"), ("0", "0")):
        monkeypatch.setenv("LMMS_MANU_SEED", seed)
        monkeypatch.setenv("LMMS_MANU_EXEMPLARS", f"cloze={count}")
        results = evaluate(leaf)
        chosen.append(results["configs"][leaf]["metadata"]["run"]["exemplars"])
        assert results["results"][leaf]["scored,none"] == 2 * (19 - int(count))
    assert [len(people) for people in chosen] == [2, 2, 0]
    assert chosen[0] != chosen[1]


def test_skipped_questions_are_counted_in_the_results(evaluate, tmp_path, folder):
    def dirty(rows):
        rows[0]["Mask_Task"] = None

    copy = altered(folder, tmp_path / "data", forget_15=dirty)
    results = evaluate("mllmu_forget_15_cloze_text", dataset=copy)["results"]["mllmu_forget_15_cloze_text"]
    assert (results["skipped,none"], results["scored,none"]) == (2, 2)


@pytest.mark.parametrize("broken", [lambda whole: whole[:300], lambda whole: b"no picture"])
def test_a_picture_that_breaks_when_it_is_asked_for_costs_its_questions_only(
    evaluate, tmp_path, folder, caplog, broken
):
    def dirty(rows):
        rows[0]["image"] = {"bytes": broken(rows[0]["image"]["bytes"]), "path": None}

    copy = altered(folder, tmp_path / "data", forget_15=dirty)
    leaf = "mllmu_forget_15_generation_multimodal"
    with caplog.at_level(logging.WARNING):
        results = evaluate(leaf, dataset=copy)
    assert (results["results"][leaf]["skipped,none"], results["results"][leaf]["scored,none"]) == (2, 4)
    assert results["results"][leaf]["rouge_l,none"] == pytest.approx(1.0)
    assert "row 0 of forget_15" in caplog.text


def test_a_dataset_that_is_not_there_is_one_clear_error_at_once(evaluate, tmp_path):
    with pytest.raises(DataError, match="no folder"):
        evaluate("mllmu_forget", dataset=tmp_path / "nowhere")


def test_a_wrong_setting_is_one_clear_error_at_once(evaluate, monkeypatch):
    monkeypatch.setenv("LMMS_MANU_EXEMPLARS", "cloze=many")
    with pytest.raises(SettingError, match="cloze"):
        evaluate("mllmu_forget_cloze_text")


def test_metrics_are_those_that_are_documented(evaluate):
    results = evaluate("mllmu_forget")["results"]
    for task in TASKS:
        keys = {key.split(",")[0] for key in results[f"mllmu_forget_{task}_text"] if "_stderr" not in key}
        assert keys - {"alias", "samples"} == {*METRICS[task], *ACCOUNTS}


def test_an_answer_is_scored_up_to_the_next_turn_and_kept_whole(evaluate):
    runs_on = ChatRule(lambda document: f"Nothing.\nUSER: And now?\nASSISTANT: {document['answer']}")
    results = evaluate("mllmu_retain_cloze_text", "mllmu_retain_generation_text", model=runs_on)
    assert results["results"]["mllmu_retain_cloze_text"]["cloze_accuracy,none"] == 0
    for sample in results["samples"]["mllmu_retain_generation_text"]:
        assert sample["scored"]["response"].endswith(f"ASSISTANT: {sample['scored']['target']}")
        assert sample["rouge_l"] == rouge("Nothing.\nUSER: And now?\n", sample["scored"]["target"])["rouge_l"]


@pytest.mark.parametrize("task", TASKS)
def test_the_harnesss_own_comparison_with_a_baseline_pairs_the_answers(evaluate, tmp_path, task):
    def worse(document):
        return "-" if document["number"] else document["answer"]

    leaf = f"mllmu_retain_{task}_text"
    baseline = evaluate(leaf)
    file = tmp_path / "baseline.jsonl"
    file.write_text("".join(json.dumps(sample, default=str) + "\n" for sample in baseline["samples"][leaf]))
    results = evaluate(leaf, model=ChatRule(worse), baseline=str(file))
    found, samples = results["results"][leaf], results["samples"][leaf]
    points = [sample["answer_score"] for sample in samples]
    assert points == [sample["scored"]["points"] for sample in samples]
    assert found["paired_baseline_score"] == pytest.approx(100.0)
    mean = 100 * (sum(points) / len(points) - 1)
    assert mean < -20
    assert (found["paired_ci_lower"] + found["paired_ci_upper"]) / 2 == pytest.approx(mean)
    assert found["paired_pvalue"] < 0.01


def test_standard_errors_take_people_for_clusters(evaluate):
    leaf = "mllmu_retain_cloze_text"
    model = ChatRule(lambda document: document["answer"] if int(document["person"]) % 2 else "-")
    found = evaluate(leaf, model=model)
    people = [int(sample["scored"]["person"]) % 2 for sample in found["samples"][leaf]]
    # Both answers about a person are right or both are wrong: 34 answers say no more than 17 do.
    spread = statistics.stdev(people)
    clustered = found["results"][leaf]["clustered_score_stderr_clustered,none"]
    assert clustered == pytest.approx(spread / 17**0.5, rel=0.05)
    assert found["results"][leaf]["answer_score,none"] == found["results"][leaf]["clustered_score,none"]
    assert found["results"][leaf]["cloze_accuracy,none"] == pytest.approx(100 * statistics.mean(people))


def test_answers_are_scored_in_any_number_of_threads(evaluate):
    groups = [evaluate("mllmu_retain_15", process_docs_parallel=threads) for threads in (1, 4)]
    assert groups[0]["samples"] == groups[1]["samples"]
    assert groups[0]["results"] == groups[1]["results"]


@pytest.fixture
def judged(evaluate, monkeypatch, tmp_path):
    """Evaluates two generation leaves with a judge; gives their results and samples."""

    def run(server, **environment):
        monkeypatch.setenv("OPENAI_API_URL", f"{server.url}/chat/completions")
        monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path / "cache"))
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return evaluate(*(f"mllmu_forget_15_generation_{modality}" for modality in MODALITIES))

    return run


def test_factuality_is_the_mean_of_the_judges_scores(judged):
    with JudgeServer(lambda number, body: verdict(10 if "Where" in body["messages"][1]["content"] else 4)) as server:
        results = judged(server, MODEL_VERSION="judge-1")
    for leaf, samples in results["samples"].items():
        scores = [10 if "Where" in sample["scored"]["question"] else 4 for sample in samples]
        assert [sample["factuality"] for sample in samples] == [{"reason": "because", "score": s} for s in scores]
        assert results["results"][leaf]["factuality,none"] == pytest.approx(sum(scores) / len(scores))
        assert results["results"][leaf]["not_judged,none"] == 0
        assert results["configs"][leaf]["metadata"]["run"]["judge"] == "judge-1"
    assert {request["model"] for request in server.requests} == {"judge-1"}


def test_answers_that_are_not_judged_are_counted_and_left_out_of_the_mean(judged, caplog):
    def every_third_is_garbage(number, body):
        return completion("no idea") if number % 3 == 0 else verdict(7)

    with JudgeServer(every_third_is_garbage) as server, caplog.at_level(logging.WARNING):
        results = judged(server)["results"]
    leaves = [f"mllmu_forget_15_generation_{modality}" for modality in MODALITIES]
    assert sum(results[leaf]["not_judged,none"] for leaf in leaves) == 4
    assert {results[leaf]["factuality,none"] for leaf in leaves} == {7.0}
    assert {results[leaf]["scored,none"] for leaf in leaves} == {6}
    assert "answers not judged" in caplog.text


def test_a_judge_that_is_gone_leaves_factuality_unmeasured_and_everything_else_scored(judged):
    with JudgeServer(lambda number, body: verdict(7)) as server:
        pass
    results = judged(server, LMMS_MANU_JUDGE_ATTEMPTS="1")["results"]
    for modality in MODALITIES:
        leaf = results[f"mllmu_forget_15_generation_{modality}"]
        assert leaf["factuality,none"] is None
        assert leaf["not_judged,none"] == leaf["scored,none"] == 6
        assert leaf["rouge_l,none"] == pytest.approx(1.0)


def test_a_rerun_asks_the_judge_nothing(judged):
    with JudgeServer(lambda number, body: verdict(7)) as server:
        judged(server)
        asked = len(server.requests)
        judged(server)
    assert 0 < asked == len(server.requests)
