"""The model in the harness's own evaluator, in this process."""

from __future__ import annotations

import gc
import json
import weakref
from typing import Any

import pytest
from lmms_eval import evaluator, models
from lmms_eval.api.instance import Instance
from lmms_eval.tasks import TaskManager
from PIL import Image
from support.judge_server import JudgeServer
from support.models import llava_processor
from support.stock_tasks import judge_of_stock_tasks, judge_variables

from lmms_manu.answering.engine import AnsweringEngine
from lmms_manu.cli.main import main
from lmms_manu.errors import DataError, ManuError, ModelError, SettingError
from lmms_manu.methods.unlearn import UnlearningRun
from lmms_manu.models.rendering import PromptRenderer
from lmms_manu.plugins.conversion import RequestConverter
from lmms_manu.plugins.manu_pruned import ManuPruned, ManuPrunedSimple

VANILLA = {"pretrained": "./tiny", "prune_rate": 0, "device": "cpu"}
VANILLA_TEXT = ",".join(f"{name}={value}" for name, value in VANILLA.items())


@pytest.fixture
def vanilla(here) -> ManuPruned:
    return ManuPruned(**VANILLA)


@pytest.fixture(scope="module")
def task_manager() -> TaskManager:
    return TaskManager()


@pytest.fixture(scope="module")
def of_manu_pruned() -> TaskManager:
    """The one that the harness's command line looks tasks up with."""
    return TaskManager(model_name="manu_pruned")


@pytest.fixture
def evaluate(task_manager):
    """Evaluates a model on tasks; reading the harness's thousand task files takes seconds, once for all tests."""

    def run(model, *tasks: str, **options) -> dict:
        return evaluator.simple_evaluate(
            model=model, tasks=list(tasks), task_manager=task_manager, bootstrap_iters=0, **options
        )

    return run


def instance(kind: str, arguments: tuple) -> Instance:
    return Instance(kind, arguments, 0, metadata={"task": arguments[-2], "doc_id": 0, "repeats": 1})


def answers(results: dict, task: str) -> list:
    return [sample["resps"] for sample in results["samples"][task]]


def test_one_object_can_be_evaluated_again(vanilla, evaluate):
    first, second = (evaluate(vanilla, "mmstar", limit=2) for _ in range(2))
    assert answers(first, "mmstar") == answers(second, "mmstar")
    assert first["results"]["mmstar"] == second["results"]["mmstar"]


def test_answers_of_a_run_that_was_stopped_are_not_asked_for_again(here, evaluate, monkeypatch, tmp_path):
    monkeypatch.setenv("LMMS_MANU_ANSWERS", str(tmp_path))
    leaf, found, kept = "mllmu_forget_10_cloze_text", [], []
    for questions in (2, 4):
        found.append(answers(evaluate(ManuPruned(**VANILLA), leaf, limit=questions), leaf))
        (file,) = tmp_path.rglob("*.jsonl")
        kept.append(sum(line != "" for line in file.read_text().splitlines()))
    assert found[1][:2] == found[0]
    assert kept == [2, 4]


def test_the_results_of_each_of_two_models_record_its_own_edit(vanilla, evaluate):
    leaf = "mllmu_forget_10_cloze_text"
    pruned = ManuPruned(pretrained="./tiny", prune_rate=5, forget_ratio=10, device="cpu", max_samples=2)
    assert pruned.record.fingerprint is not None
    for model in (vanilla, pruned, vanilla):
        results = evaluate(model, leaf, limit=1)
        assert results["configs"][leaf]["metadata"]["run"]["edit"] == model.record.as_dict()
        assert results["samples"][leaf][0]["scored"]["edit"] == model.record.fingerprint


def test_both_names_of_the_model_give_the_same_scores_however_many_threads_compute_them(here, evaluate):
    leaves = ("mllmu_forget_10_cloze_text", "mllmu_forget_10_classification_text", "mllmu_forget_10_generation_text")
    serial, parallel = (
        evaluate(name, *leaves, model_args=VANILLA_TEXT, process_docs_parallel=threads)
        for name, threads in (("manu_pruned", 1), ("unlearned", 4))
    )
    assert serial["results"] == parallel["results"]
    for leaf in leaves:
        assert [one["doc_id"] for one in serial["samples"][leaf]] == [
            one["doc_id"] for one in parallel["samples"][leaf]
        ]
        assert answers(serial, leaf) == answers(parallel, leaf)


def test_the_harness_gets_tokens_and_seconds(vanilla, evaluate):
    throughput = evaluate(vanilla, "mmstar", limit=2)["throughput"]
    assert throughput["total_gen_tokens"] > 0
    assert throughput["total_elapsed_time"] > 0
    assert throughput["avg_prompt_tokens"] > 0


def test_released_prompts_and_chat_prompts_both_reach_the_model(here, evaluate):
    leaf = "mllmu_retain_10_cloze_multimodal"
    released = evaluate(ManuPruned(**VANILLA), leaf, limit=3)
    chat = evaluate(ManuPruned(**VANILLA, prompt="chat"), leaf, limit=3)
    assert released["results"][leaf].keys() == chat["results"][leaf].keys()
    assert answers(released, leaf) != answers(chat, leaf)


def test_the_simple_class_answers_the_released_prompts_alike(here, evaluate):
    for leaf in ("mllmu_forget_10_cloze_multimodal", "mllmu_forget_10_cloze_text"):
        chat, simple = evaluate(ManuPruned(**VANILLA), leaf), evaluate(ManuPrunedSimple(**VANILLA), leaf)
        assert answers(chat, leaf) == answers(simple, leaf)


def test_tasks_of_another_forget_ratio_are_refused_naming_both(here, evaluate):
    model = ManuPruned(pretrained="./tiny", prune_rate=5, forget_ratio=10, device="cpu", max_samples=2)
    evaluate(model, "mllmu_celebrity_cloze_text")
    with pytest.raises(ModelError, match=r"tasks of forget ratio 5, .* forget_ratio=10"):
        evaluate(model, "mllmu_retain_cloze_text")


def test_tasks_of_another_forget_ratio_are_refused_before_any_weight_is_read(here, of_manu_pruned):
    for tasks in (["mmstar", "mllmu_test_15_cloze_text"], ["mllmu_test_15"], ["mllmu_15"]):
        assert set(of_manu_pruned.match_tasks(tasks)) == set(tasks)
        with pytest.raises(
            ModelError, match=rf"{tasks[-1]} belongs to the tasks of forget ratio 15, .*forget_ratio=10"
        ):
            ManuPruned(pretrained="no/such-checkpoint", forget_ratio=10, device="cpu")
    of_manu_pruned.match_tasks(["mllmu_15"])
    # A model as it is may be asked about anybody, and what was told counts for the model that is made next.
    for arguments in ({"prune_rate": 0}, {"forget_ratio": 10}):
        with pytest.raises(ModelError, match="neither a folder here nor"):
            ManuPruned(pretrained="no/such-checkpoint", device="cpu", **arguments)


@pytest.mark.parametrize(("variable", "value"), [("LMMS_MANU_SEED", "x"), ("LMMS_MANU_EXEMPLARS", "cloze=-1")])
def test_a_wrong_protocol_is_refused_when_tasks_are_looked_up(here, of_manu_pruned, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingError, match=f"{variable}: "):
        of_manu_pruned.match_tasks(["mllmu_forget_cloze_text"])


def test_an_exported_checkpoint_is_known_as_what_it_is(here, evaluate, of_manu_pruned, tmp_path, capsys):
    words = ["--pretrained", "./tiny", "--device", "cpu", "--forget_ratio", "10", "--max_samples", "2"]
    assert main(["prune", *words, "--prune_rate", "5", "--out", str(tmp_path / "edited")]) == 0
    model = ManuPruned(pretrained=str(tmp_path / "edited"), prune_rate=0, device="cpu")
    written = json.loads((tmp_path / "edited" / "edit.json").read_text())
    assert (model.record.fingerprint, model.record.forgotten["forget_ratio"]) == (written["fingerprint"], 10)
    assert "edited before by manu paper 5 %" in model.record.summary()
    with pytest.raises(SettingError, match=r"was written edited \(manu paper 5 %\), .*: method=none takes it as it is"):
        ManuPruned(pretrained=str(tmp_path / "edited"), device="cpu", forget_ratio=10)
    results = evaluate(model, "mllmu_forget_10_cloze_text", limit=2)
    assert (
        results["configs"]["mllmu_forget_10_cloze_text"]["metadata"]["run"]["edit"]["fingerprint"]
        == written["fingerprint"]
    )
    with pytest.raises(ModelError, match=r"tasks of forget ratio 5, .* forget_ratio=10"):
        evaluate(model, "mllmu_retain_cloze_text")
    of_manu_pruned.match_tasks(["mllmu"])
    with pytest.raises(ModelError, match=r"mllmu belongs to the tasks of forget ratio 5"):
        ManuPruned(pretrained=str(tmp_path / "edited"), prune_rate=0, device="cpu")
    capsys.readouterr()
    more = ["--suite", "mllmu", "--model_args", f"pretrained={tmp_path / 'edited'},prune_rate=0"]
    assert main(["evaluate", *more, "--output", str(tmp_path / "results"), "--dry-run"]) == 0
    assert "--tasks mllmu_forget_10" in capsys.readouterr().out
    silent = ["--suite", "mllmu", "--model_args", f"pretrained={tmp_path / 'edited'}", "--output", str(tmp_path / "r")]
    assert main(["evaluate", *silent, "--dry-run"]) == 2
    assert "method=manu (or another) edits it once more" in capsys.readouterr().err
    words = ["--pretrained", str(tmp_path / "edited"), "--prune_rate", "0", "--forget_ratio", "10", "--device", "cpu"]
    assert main(["residual", *words, "--max_samples", "2", "--out", str(tmp_path / "residual.json")]) == 0
    residual = json.loads((tmp_path / "residual.json").read_text())
    # The report finds it by the weights that were edited and the mask, as the run's own record names them.
    assert (residual["checkpoint"], residual["mask"]) == (written["checkpoint"], written["fingerprint"])


def test_a_vanilla_model_may_be_asked_about_any_ratio(vanilla, evaluate):
    evaluate(vanilla, "mllmu_forget_cloze_text", "mllmu_forget_15_cloze_text", limit=1)


def test_multiple_choice_works_with_force_simple(here, evaluate):
    results = evaluate("manu_pruned", "arc_easy", "seedbench_ppl", model_args=VANILLA_TEXT, force_simple=True)
    for task in ("arc_easy", "seedbench_ppl"):
        assert 0 <= results["results"][task]["acc,none"] <= 1
        for sample in results["samples"][task]:
            losses = [response[0][0] for response in sample["resps"]]
            assert all(loss > 0 for loss in losses)
            # The harness takes the smallest loss for the model's choice.
            assert sample["acc"] == float(losses.index(min(losses)) == sample["doc_id"] % 4)


def test_the_pictures_of_a_whole_multiple_choice_task_never_lie_in_memory_together(here):
    made, together = [], []

    class Documents:
        def __getitem__(self, number):
            picture = Image.new("RGB", (8, 8), (number, 0, 0))
            made.append(weakref.ref(picture))
            return {"image": picture}

    def doc_to_visual(document):
        together.append(sum(picture() is not None for picture in made))
        return [document["image"]]

    model = ManuPrunedSimple(**VANILLA, batch_size=1)
    model.task_dict = {"choice": {"test": Documents()}}
    arguments = [("Which?", lambda document: " A", doc_to_visual, number, "choice", "test") for number in range(20)]
    scores = model.loglikelihood([instance("loglikelihood", one) for one in arguments])
    assert len(scores) == 20
    assert max(together) <= 9


def test_the_model_of_one_evaluation_is_gone_before_the_next_one_is_loaded(here, evaluate, monkeypatch):
    loaded: list[Any] = []
    still_there: list[Any] = []
    load = UnlearningRun.load

    def watched(plan):
        still_there.append(sum(model() is not None for model in loaded))
        checkpoint, record = load(plan)
        loaded.append(weakref.ref(checkpoint.model))
        return checkpoint, record

    monkeypatch.setattr(UnlearningRun, "load", watched)
    gc.disable()
    try:
        for _ in range(2):
            evaluate("manu_pruned", "mmstar", model_args=VANILLA_TEXT, limit=1)
    finally:
        gc.enable()
    assert still_there == [0, 0]


def test_mia_bench_runs_with_its_own_form_of_the_judges_url(vanilla, evaluate, monkeypatch):
    with JudgeServer(judge_of_stock_tasks) as judge:
        for name, value in judge_variables(f"{judge.url}/chat/completions").items():
            monkeypatch.setenv(name, value)
        results = evaluate(vanilla, "mia_bench")
    assert results["results"]["mia_bench"]["gpt_eval_score,none"] == pytest.approx(0.8)
    assert len(judge.requests) == 4


def test_a_missing_judge_is_found_before_anything_is_answered(vanilla, evaluate, monkeypatch):
    monkeypatch.setattr(AnsweringEngine, "answer", None)
    with pytest.raises(SettingError, match="OPENAI_API_KEY is not set"):
        evaluate(vanilla, "llava_in_the_wild")


def test_several_rounds_are_refused(vanilla):
    request = instance("generate_until_multi_round", ("", None, {}, 0, "rounds", "test"))
    with pytest.raises(ModelError, match="rounds asks in several rounds"):
        vanilla.generate_until_multi_round([request])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prune_rat": 2}, "no argument 'prune_rat'. Did you mean 'prune_rate'?"),
        ({"prune_rate": 120}, "prune_rate=120.0 is out of range: allowed is 0 to 100"),
        ({"forget_ratio": 7}, "forget_ratio=7 is not allowed: choose one of 5, 10, 15"),
        ({"recipe": "papr"}, "recipe='papr' is not allowed: .* Did you mean 'paper'?"),
        ({"method": "mannu"}, "method='mannu' is not allowed"),
        ({"batch_size": "some"}, "batch_size='some' is not allowed"),
        ({"prompt": "plain"}, "prompt='plain' is not allowed: choose one of released, chat"),
        ({"device": "tpu"}, "device='tpu' is not a device"),
        ({"prune_rate": 2, "max_samples": 0}, "max_samples=0 is out of range"),
    ],
)
def test_wrong_arguments_fail_before_any_weight_is_read(here, arguments, message):
    with pytest.raises(SettingError, match=message):
        ManuPruned(**{"pretrained": "no/such-checkpoint", **arguments})


def test_a_dataset_without_people_to_forget_fails_before_any_weight_is_read(here, monkeypatch):
    monkeypatch.setenv("LMMS_MANU_DATASET", str(here / "no-such-dataset"))
    with pytest.raises(DataError, match="no-such-dataset"):
        ManuPruned(pretrained="no/such-checkpoint", device="cpu")


@pytest.mark.parametrize(
    ("text", "harness", "wanted"),
    [
        ("", {"batch_size": 1}, "auto"),
        ("", {"batch_size": "1"}, "1"),
        ("", {"batch_size": "auto"}, "auto"),
        ("batch_size=4", {"batch_size": 1}, "4"),
        ("batch_size=4", {"batch_size": "2"}, "4"),
    ],
)
def test_the_harness_batch_size_counts_where_somebody_typed_it(here, text, harness, wanted):
    arguments = "pretrained=./tiny,prune_rate=0,device=cpu" + (f",{text}" if text else "")
    model = ManuPruned.create_from_arg_string(arguments, {**harness, "max_batch_size": None, "device": None})
    assert model.batch_size == wanted


def test_the_harness_finds_both_classes():
    assert models.get_model("manu_pruned") is ManuPruned
    assert models.get_model("manu_pruned", force_simple=True) is ManuPrunedSimple


REFUSED = {
    "system_instruction": "You are a pirate.",
    "apply_chat_template": True,
    "fewshot_as_multiturn": True,
    "max_batch_size": 8,
    "max_tokens": 1000,
    "cache_requests": True,
    "num_fewshot": 2,
}


@pytest.mark.parametrize("option", REFUSED)
def test_an_option_of_the_harness_without_effect_is_refused_before_any_weight_is_read(here, evaluate, option):
    with pytest.raises(SettingError, match=f"--{option}.* is not for manu_pruned: .*Leave the option out"):
        evaluate("manu_pruned", "mmstar", model_args="pretrained=no/such-checkpoint", **{option: REFUSED[option]})


def test_such_an_option_is_refused_before_a_model_that_is_there_answers(vanilla, evaluate, monkeypatch):
    monkeypatch.setattr(AnsweringEngine, "answer", None)
    with pytest.raises(SettingError, match="--system_instruction is not for manu_pruned"):
        evaluate(vanilla, "mmstar", system_instruction="You are a pirate.")


def test_settings_of_generation_limit_and_offset_reach_the_tasks(vanilla, evaluate):
    leaf = "mllmu_forget_10_cloze_text"
    whole = evaluate(vanilla, leaf)
    later = evaluate(vanilla, leaf, limit=2, offset=1)
    assert [one["doc_id"] for one in later["samples"][leaf]] == [1, 2]
    assert answers(later, leaf) == answers(whole, leaf)[1:3]
    short = evaluate(vanilla, leaf, limit=2, gen_kwargs="max_new_tokens=3")
    for (beginning,), (answer,) in zip(answers(short, leaf), answers(whole, leaf)[:2], strict=True):
        assert answer[0].startswith(beginning[0])
        assert answer != beginning


def test_answers_can_be_asked_for_without_scores_and_several_times(vanilla, evaluate):
    leaf = "mllmu_forget_10_cloze_text"
    scored = evaluate(vanilla, leaf, limit=2)
    only = evaluate(vanilla, leaf, limit=2, predict_only=True)
    assert answers(only, leaf) == answers(scored, leaf)
    assert "cloze_accuracy,none" not in only["results"][leaf]
    again = evaluate(vanilla, leaf, limit=2, repeats=2)
    assert again["results"][leaf]["cloze_accuracy,none"] == scored["results"][leaf]["cloze_accuracy,none"]


class Task:
    """What a request knows of its task: the harness's default of a blank line, and a document's messages."""

    class config:  # noqa: N801, the attribute's name
        fewshot_delimiter = "\n\n"

    def __init__(self, part) -> None:
        self._part = part

    def doc_to_messages(self, document) -> list:
        return [{"role": "user", "content": [self._part, {"type": "text", "text": "Who?"}]}]


def converted(part, until=None, **generation):
    task = Task(part)
    until = [Task.config.fewshot_delimiter] if until is None else until
    arguments = {"until": until, "max_new_tokens": 5, **generation}
    request = instance("generate_until", ("", task.doc_to_messages, arguments, 0, "a_task", "test"))
    documents: dict[str, Any] = {"a_task": {"test": [{}]}}
    renderer = PromptRenderer(llava_processor())
    return RequestConverter(renderer, documents, "released", lambda ratio, label: None).chat(request)


PICTURE = {"type": "image", "url": Image.new("L", (8, 8))}


def test_a_blank_line_ends_an_answer_only_where_the_task_asks_for_it():
    assert converted(PICTURE).generation.stop == ()
    assert converted(PICTURE, ["".join(["\n", "\n"])]).generation.stop == ("\n\n",)
    assert converted(PICTURE, ["ASSISTANT:", ""]).generation.stop == ("ASSISTANT:",)
    assert converted(PICTURE, []).generation.stop == ()


def test_a_generation_setting_that_cannot_be_is_refused_naming_the_task():
    with pytest.raises(SettingError, match=r"a_task: generation setting top_k=\[1\] is not a number"):
        converted(PICTURE, top_k=[1])


def test_pictures_are_shown_in_colour():
    request = converted(PICTURE)
    assert request.text == "USER: <image>\nWho?\nASSISTANT:"
    assert [picture.mode for picture in request.pictures()] == ["RGB"]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"type": "video", "url": "film.mp4"}, "a_task, document 0: manu_pruned shows pictures .* this is video"),
        ({"type": "image", "url": "https://example.org/x.png"}, "a_task, document 0: .* is not a picture"),
    ],
)
def test_other_media_are_refused_naming_the_document(part, message):
    with pytest.raises(ManuError, match=message):
        converted(part).pictures()


def simple_request(text: str, colours: list[str]):
    arguments: tuple[Any, ...] = (
        text,
        {},
        lambda document: [Image.new("RGB", (8, 8), one) for one in colours],
        0,
        "a_task",
        "test",
    )
    converter = RequestConverter(
        PromptRenderer(llava_processor()), {"a_task": {"test": [{}]}}, "released", lambda ratio, label: None
    )
    return converter.simple(instance("generate_until", arguments))


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("Which?\nA. <image>\nB. <image>", "USER: Which?\nA. <image>\nB. <image>\nASSISTANT:"),
        ("Like <image>?", "USER: <image>\nLike <image>?\nASSISTANT:"),
        ("Which?", "USER: <image>\n<image>\nWhich?\nASSISTANT:"),
        ("<image> <image> <image>?", "USER: <image> <image> ?\nASSISTANT:"),
    ],
)
def test_pictures_of_a_simple_task_are_shown_where_its_text_has_places_for_them(text, rendered):
    # The chat template puts the pictures of a turn in front of it.
    request = simple_request(text, ["red", "blue"])
    assert request.text == rendered
    assert [picture.getpixel((0, 0)) for picture in request.pictures()] == [(255, 0, 0), (0, 0, 255)]
