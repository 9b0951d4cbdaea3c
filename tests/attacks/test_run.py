"""Attacks on the embedded models, side by side: a model that only refuses, gold, and what is kept."""

from __future__ import annotations

import contextlib
import shutil

import pytest
import torch
from transformers import AutoProcessor, LlamaConfig

from lmms_manu import embedded
from lmms_manu.attacks.base import Attack, InapplicableError, Target, keeping_weights
from lmms_manu.attacks.membership import Membership, new_people
from lmms_manu.attacks.outcomes import NEVER_FORGOT
from lmms_manu.attacks.pictures import Pictures
from lmms_manu.attacks.projector import Projector
from lmms_manu.attacks.readings import read
from lmms_manu.attacks.registry import attacks
from lmms_manu.attacks.results import FILE, AttackResults
from lmms_manu.attacks.run import run
from lmms_manu.benchmarks.mllmu.synthetic.population import make_background, make_population
from lmms_manu.benchmarks.registry import get_benchmark
from lmms_manu.errors import DataError, ModelError, SettingError
from lmms_manu.methods.data import load_data
from lmms_manu.methods.settings import UnlearningSettings
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = embedded.make_embedded_dataset(tmp_path_factory.mktemp("people") / "MLLMU-Bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LMMS_MANU_DATASET", str(folder))
        patch.setenv("LMMS_MANU_CACHE", str(folder.parent / "cache"))
        yield folder


def arguments(name, **further):
    shared = {"pretrained": str(embedded.model_folder(name)), "device": "cpu", "forget_ratio": 10, "max_samples": 12}
    return {**shared, "method": "none", **further}


class Breaking(Attack):
    """Makes a model whose probabilities are no numbers."""

    name = "breaking"

    def variants(self):
        return {"weights": self._broken}

    @contextlib.contextmanager
    def _broken(self, target):
        with keeping_weights(target.checkpoint), torch.no_grad():
            target.checkpoint.model.get_output_embeddings().weight.fill_(torch.nan)
            yield target


@pytest.fixture(scope="module")
def refusing(dataset, tmp_path_factory):
    """The attacks on a model that only refuses by its system prompt, what was said, and the folder."""
    output = tmp_path_factory.mktemp("attacks") / "refusing"
    said: list[str] = []
    models = {
        "vanilla": arguments("vanilla"),
        "edited": arguments("vanilla", method="prompting"),
        "gold": arguments("gold_10"),
    }
    suite = [*attacks(["prompts", "choices", "modality", "membership", "projector"]), Breaking()]
    return run(models, suite, output, said.append), models, output, said


FORMS = ("as asked", "options turned round", "asked openly")


def outcome(results, name):
    return next(one for one in results.outcomes if one.attack == name)


def test_a_model_that_only_refuses_is_hidden_and_not_gone(refusing):
    results, *_ = refusing
    found = outcome(results, "prompts: no system prompt")
    assert found.verdict == "hidden, not gone: it came back"
    assert found.found.value == pytest.approx(1)
    assert found.found.interval[0] > 0.99
    assert found.base.value == pytest.approx(0)


def test_membership_tells_those_whom_vanilla_met_from_new_people_and_golds_from_nobody(refusing):
    results, *_ = refusing
    found = outcome(results, "membership: loss")
    assert found.read["vanilla"] > 0.95
    assert 0.2 < found.read["gold"] < 0.7
    assert found.shows
    assert len([one for one in results.outcomes if one.attack.startswith("membership")]) == 6


def test_what_is_asked_with_options_is_read_beside_what_is_asked_openly(refusing):
    results, *_ = refusing
    asked, turned, openly = (outcome(results, f"choices: {form}") for form in FORMS)
    assert asked.read["vanilla"] > 0.9
    assert asked.read["gold"] < 0.5
    assert 0 < asked.found.value <= 1
    assert openly.found.interval[0] > 0
    # The embedded models learnt the letter of each question, wherever its text stands.
    assert turned.verdict == "it cannot tell: vanilla shows no more than gold does"


def test_options_that_are_turned_round_keep_the_right_one(target):
    people = [one.subject for one in target.data.forget["multimodal"]]
    for modality, pictures in (("text", 0), ("multimodal", 1)):
        both = [
            get_benchmark("mllmu").choices(people, modality, target.data.settings, turned=turned)
            for turned in (False, True)
        ]
        assert both[0]
        for one, other in zip(*both, strict=True):
            right = {f"\n{each.answer}: ": each.question for each in (one, other)}
            texts = {question.partition(mark)[2].partition("\n")[0] for mark, question in right.items()}
            assert len(texts) == 1
            assert one.answer != other.answer
            assert len(one.pictures()) == pictures
            assert bool(one.digest()) == bool(pictures)


def test_what_an_attack_cannot_do_is_told_in_words_without_a_number(refusing):
    results, *_ = refusing
    unchanged, broken = (outcome(results, name) for name in ("projector: vanilla's", "breaking: weights"))
    assert unchanged.verdict == "its projector is vanilla's: nothing is to be put back"
    assert broken.verdict.startswith("the attacked model gives no numbers")
    assert unchanged.found is broken.found is None


def test_the_same_command_reads_what_is_known_and_other_models_are_refused(refusing):
    results, models, output, _ = refusing
    said: list[str] = []
    again = run(models, attacks(["modality"]), output, said.append)
    assert [line.partition(": ")[2].startswith("0 measured") or " read" in line for line in said] == [True] * 3
    assert not any("measured" in line for line in said)
    assert again.outcomes == [one for one in results.outcomes if one.attack.startswith("modality")]
    assert AttackResults.load(output / FILE).outcomes == again.outcomes
    with pytest.raises(SettingError, match="holds attacks on other models"):
        run({**models, "gold": models["vanilla"]}, [], output, said.append)


def test_a_model_that_never_forgot_is_not_attacked(dataset, tmp_path):
    said: list[str] = []
    models = {"vanilla": arguments("vanilla"), "edited": arguments("vanilla")}
    results = run(models, attacks([]), tmp_path, said.append)
    assert {one.verdict for one in results.outcomes} == {NEVER_FORGOT}
    assert said[-1] == "edited: 1 measured, 0 read"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"forget_ratio": 5}, "gold is about benchmark=mllmu, forget_ratio=5, the edited model about"),
        ({"max_samples": 3}, None),
    ],
)
def test_models_of_other_people_are_refused_before_one_is_loaded(dataset, tmp_path, changed, told):
    models = {"vanilla": arguments("vanilla"), "edited": arguments("vanilla"), "gold": arguments("gold_10", **changed)}
    if told is None:
        models = {name: {**own, **changed} for name, own in models.items()}
        told = "3 people to forget are too few for an interval: at least 4 are needed"
    with pytest.raises((DataError, SettingError), match=told):
        run(models, [], tmp_path, print)


def other_tokenizer(folder):
    shutil.copytree(embedded.model_folder("gold_10"), folder)
    processor = AutoProcessor.from_pretrained(folder)
    processor.tokenizer.add_tokens(["another"])
    processor.save_pretrained(folder)


def other_architecture(folder):
    LlamaConfig(hidden_size=8, num_attention_heads=1).save_pretrained(folder)
    AutoProcessor.from_pretrained(embedded.model_folder("gold_10")).tokenizer.save_pretrained(folder)


def test_a_gold_that_is_not_there_is_refused_before_the_edited_model_is_attacked(dataset, tmp_path):
    gold = {**arguments("gold_10"), "pretrained": "nobody/gold"}
    models = {"vanilla": arguments("vanilla"), "edited": arguments("vanilla", method="prompting"), "gold": gold}
    with pytest.raises(ModelError, match="pretrained='nobody/gold' is neither a folder here nor reachable"):
        run(models, [], tmp_path / "out", print)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [other_tokenizer, other_architecture])
def test_a_gold_of_another_kind_is_refused_before_a_model_is_loaded(dataset, tmp_path, make):
    make(tmp_path / "gold")
    gold = {**arguments("gold_10"), "pretrained": str(tmp_path / "gold")}
    models = {"vanilla": arguments("vanilla"), "edited": arguments("vanilla"), "gold": gold}
    with pytest.raises(DataError, match="gold is of another architecture or tokenizer than vanilla"):
        run(models, [], tmp_path / "out", print)


@pytest.fixture(scope="module")
def target(dataset):
    data = load_data(UnlearningSettings(forget_ratio=10, max_samples=20))
    settings = ModelSettings(pretrained=str(embedded.model_folder("vanilla")), device="cpu")
    return Target(load_checkpoint(settings), data, lambda: load_checkpoint(settings))


def test_a_broken_projector_is_put_back_and_then_broken_again(target):
    projector = target.checkpoint.model.model.multi_modal_projector
    known = read(target)["probability"]
    with keeping_weights(target.checkpoint), torch.no_grad():
        for weight in projector.parameters():
            weight.mul_(0.2)
        broken = read(target)["probability"]
        assert sum(broken[place][0] < known[place][0] - 0.1 for place in known if "multimodal" in place) > 10
        (put_back,) = Projector().variants().values()
        with put_back(target) as attacked:
            assert read(attacked)["probability"] == known
        assert read(target)["probability"] == broken


def test_another_picture_is_the_test_sets(target):
    with Pictures().variants()["another picture"](target) as attacked:
        mine, theirs = (each.data.forget["multimodal"] for each in (target, attacked))
        assert [one.subject for one in mine] == [one.subject for one in theirs]
        assert all(
            one.pictures()[0].tobytes() != other.pictures()[0].tobytes()
            for one, other in zip(mine, theirs, strict=True)
        )


def test_new_people_are_asked_alike_and_nobody_has_met_them(target):
    people = make_population(embedded.PEOPLE, embedded.SEED)
    met = [*people.people, *people.celebrities, *make_background(people, 228, embedded.SEED + 1)]
    found = new_people(target)
    text = " ".join(f"{one.question} {one.answer}" for part in found.values() for one in part)
    assert not [one.name for one in met if one.name in text]
    for modality, mine in target.data.forget.items():
        assert len(found[modality]) == len(mine)
        assert len({one.subject for one in found[modality]}) == len({one.subject for one in mine}) == 20
        assert {bool(one.pictures()) for one in found[modality]} == {modality == "multimodal"}


def test_a_benchmark_that_is_not_made_up_here_has_no_new_people(target, dataset, tmp_path, monkeypatch):
    copy = tmp_path / "MLLMU-Bench"
    shutil.copytree(dataset, copy)
    (copy / "README.md").write_text("# MLLMU-Bench\n", encoding="utf-8")
    monkeypatch.setenv("LMMS_MANU_DATASET", str(copy))
    assert get_benchmark("mllmu").new_people("text", target.data.settings) == ()
    (variant,) = Membership().variants().values()
    with pytest.raises(InapplicableError, match="MLLMU-Bench has no people whom a model never saw"), variant(target):
        pass
