"""The tasks with the real model: the released bytes reach it, and a prompt that does not fit is refused."""

import re

import pytest
from support.families import save_family
from support.models import save_llava

from lmms_manu.benchmarks.mllmu import (
    MODALITIES,
    DatasetSource,
    ProtocolSettings,
    forget_ids,
    load_samples,
    prompt_building,
)
from lmms_manu.benchmarks.mllmu.family import announce_family, announced_family
from lmms_manu.benchmarks.mllmu.names import leaves
from lmms_manu.benchmarks.mllmu.questions import load_questions
from lmms_manu.errors import ModelError
from lmms_manu.methods.evaluated import evaluated, note_evaluated
from lmms_manu.methods.record import EditRecord
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.plugins.manu_pruned import ManuPruned
from lmms_manu.plugins.registration import register, tasks_folder

LEAVES = [leaf for leaf in leaves() if leaf.ratio in (None, 15)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A tiny model with random weights and a token for every byte."""
    return save_llava(tmp_path_factory.mktemp("checkpoint") / "tiny", context=8192)


@pytest.fixture
def vanilla(checkpoint, folder, monkeypatch):
    monkeypatch.setenv("LMMS_MANU_DATASET", str(folder))
    return ManuPruned(pretrained=str(checkpoint), prune_rate=0, device="cpu", reuse_prefix=False)


def texts_that_reach(checkpoint):
    """The prompts that the model is given from now on, read back from their tokens; `<image>` once for each picture."""
    seen = set()

    def read(module, args, inputs):
        ids = inputs["input_ids"]
        if ids.shape[1] > 1:
            for row in ids:
                text = checkpoint.tokenizer.decode(row, skip_special_tokens=False).replace("<pad>", "")
                seen.add(re.sub("(<image>)+", "<image>", text))

    checkpoint.model.register_forward_pre_hook(read, with_kwargs=True)
    return seen


def test_every_form_of_the_released_prompts_reaches_the_model_to_the_byte(vanilla, evaluate, folder):
    seen = texts_that_reach(vanilla._checkpoint)
    evaluate("mllmu_15", model=vanilla, limit=1, gen_kwargs="max_new_tokens=1")
    source = DatasetSource.resolve(str(folder))
    documents = [load_questions(leaf, source, ProtocolSettings()).documents[0] for leaf in LEAVES]
    released = {prompt_building.released_text(document) for document in documents}
    assert len(released) == len(LEAVES)
    assert released == seen


def test_neurons_are_measured_on_the_released_fine_tuning_prompts(checkpoint, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path))
    monkeypatch.setenv("LMMS_MANU_DATASET", str(folder))
    request = plan({"forget_ratio": 15, "pretrained": str(checkpoint), "device": "cpu"})
    loaded = load_checkpoint(request.model)
    seen = texts_that_reach(loaded)
    request.edit(loaded)
    source = DatasetSource.resolve(str(folder))
    samples = [sample for modality in MODALITIES for sample in load_samples(source, forget_ids(source, 15), modality)]
    assert {sample.released_with_answer for sample in samples} <= seen


def test_a_prompt_that_does_not_fit_is_refused_before_the_first_answer_and_says_what_to_lower(
    tmp_path, evaluate, folder, monkeypatch
):
    monkeypatch.setenv("LMMS_MANU_DATASET", str(folder))
    small = ManuPruned(pretrained=str(save_llava(tmp_path / "small", context=512)), prune_rate=0, device="cpu")
    seen = texts_that_reach(small._checkpoint)
    with pytest.raises(ModelError, match="LMMS_MANU_EXEMPLARS=cloze=1"):
        evaluate("mllmu_retain_generation_text", "mllmu_retain_cloze_multimodal", model=small)
    assert seen == set()
    monkeypatch.setenv("LMMS_MANU_EXEMPLARS", "cloze=0")
    results = evaluate("mllmu_retain_cloze_multimodal", model=small, limit=2)["results"]
    assert results["mllmu_retain_cloze_multimodal"]["scored,none"] == 2


@pytest.fixture
def no_model_before():
    announce_family(None)
    note_evaluated(None)
    yield
    announce_family(None)
    note_evaluated(None)


def test_the_model_tells_the_tasks_its_family_which_the_record_names(
    tmp_path, evaluate, folder, monkeypatch, no_model_before
):
    monkeypatch.setenv("LMMS_MANU_DATASET", str(folder))
    leaf = "mllmu_retain_cloze_text"
    idefics2 = ManuPruned(pretrained=str(save_family("idefics2", tmp_path)), prune_rate=0, device="cpu")
    results = evaluate(leaf, model=idefics2, limit=1, gen_kwargs="max_new_tokens=1")
    run = results["configs"][leaf]["metadata"]["run"]
    assert (run["family"], run["exemplar_people"]) == ("idefics2", "classification=1,cloze=auto")
    assert run["edit"]["details"]["parameters"] == idefics2._checkpoint.model.num_parameters()
    announce_family(None)
    unknown = evaluate(leaf, limit=1)["configs"][leaf]["metadata"]["run"]
    assert unknown["family"] is None
    assert (len(run["exemplars"]), len(unknown["exemplars"])) == (1, 2)
    assert set(run["exemplars"]) < set(unknown["exemplars"])


def test_another_model_of_the_harness_is_of_no_known_family_and_has_no_edit(no_model_before):
    from lmms_eval.tasks import TaskManager

    register()
    announce_family("idefics2")
    note_evaluated(EditRecord("manu", "somewhere", "mask"))
    TaskManager(include_defaults=False, include_path=tasks_folder(), model_name="qwen2_vl").match_tasks(["mllmu"])
    assert announced_family() is None
    assert evaluated() is None


# As the chat template of the real one, in which a picture stands where it was asked for.
_TURNS = (
    "{% for message in messages %}{{ message.role.capitalize() }}:{% for part in message.content %}"
    "{% if part.type == 'text' %}{{ part.text }}{% else %}<image>{% endif %}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def test_a_model_of_the_harness_is_asked_and_scored(tmp_path, evaluate, folder, monkeypatch, no_model_before):
    from lmms_eval.models.simple.idefics2 import Idefics2

    monkeypatch.setenv("LMMS_MANU_EXEMPLARS", "cloze=1")
    checkpoint = save_family("idefics2", tmp_path)
    (checkpoint / "chat_template.jinja").write_text(_TURNS)
    stock = Idefics2(str(checkpoint), device="cpu", device_map="cpu", dtype="float32", attn_implementation="eager")
    model, seen = stock.model, []
    model.register_forward_pre_hook(lambda module, args, inputs: seen.append(inputs["input_ids"][0]), with_kwargs=True)
    leaf = "mllmu_retain_cloze_multimodal"
    found = evaluate(leaf, model=stock, limit=2, gen_kwargs="max_new_tokens=4")
    prompts = [ids for ids in seen if len(ids) > 1]
    of_a_picture = model.config.perceiver_config.resampler_n_latents
    pictures = [int((ids == model.config.image_token_id).sum()) // of_a_picture for ids in prompts]
    assert pictures == [3, 3], "one with each question of the exemplar person, and one with the question asked"
    told = [stock.tokenizer.decode(ids) for ids in prompts]
    assert all("ASSISTANT:<end_of_utterance>" in text and "[Blank]" in text for text in told), "the released prompt"
    assert found["results"][leaf]["scored,none"] == 2
    run = found["configs"][leaf]["metadata"]["run"]
    assert (run["family"], run["edit"], len(run["exemplars"])) == (None, None, 1)
