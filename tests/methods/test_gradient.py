"""The methods that train, through the frame: from arguments to an edited model and its record."""

import json
import os
from typing import Any

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from support.documented import ROOT
from support.models import save_llava

from lmms_manu.cli.main import main
from lmms_manu.errors import DataError, ModelError, SettingError
from lmms_manu.methods.record import EditRecord
from lmms_manu.methods.registry import method_class
from lmms_manu.methods.unlearn import plan

METHODS = ("ga", "grad_diff", "kl", "npo", "simnpo", "idk", "rmu", "undial")


@pytest.fixture
def quick(arguments):
    """Few samples and large steps: what is learnt in a second."""
    return {**arguments, "max_samples": 8, "learning_rate": 0.01, "epochs": 2}


def logits(checkpoint):
    with torch.inference_mode():
        return checkpoint.model(input_ids=torch.arange(5, 25).unsqueeze(0)).logits


def unedited(arguments):
    return plan({**{name: arguments[name] for name in ("pretrained", "device")}, "method": "none"}).load()[0]


@pytest.mark.parametrize("method", METHODS)
def test_each_method_edits_a_model_and_says_how(quick, method):
    edited, record = plan({**quick, "method": method, "edit_cache": False}).load()
    plain, unedited = plan({**quick, "method": method, "epochs": 0}).load()
    assert not unedited.edited
    assert not torch.allclose(logits(edited), logits(plain), atol=1e-3)
    assert (record.method, record.change, record.strength) == (method, "adapter", "epochs")
    assert record.label.startswith(f"{method} paper epochs 2 learning rate 0.01")
    assert record.forgotten == {"benchmark": "mllmu", "forget_ratio": 10}
    assert record.counts["language"] == (7 if method == "rmu" else 14, 21), "RMU leaves the layers above alone"
    assert "arXiv" in record.description
    curve = record.details["curve"]
    assert curve[-1]["step"] == record.details["steps"] == len(curve) == 8
    first, second = (sum(point["loss"] for point in part) for part in (curve[:4], curve[4:]))
    # A model of random weights finds the true tokens so unlikely that UNDIAL has next to nothing to lower.
    assert second < first or method == "undial", "what is minimised falls from the first epoch to the second"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_edit_is_found_again_and_trained_on_the_weights_too(quick, dtype):
    given = {**quick, "method": "npo", "tuning": "full", "dtype": dtype}
    first, record = plan(given).load()
    again, found = plan(given).load()
    assert found == record
    assert record.change == "tensors"
    assert torch.equal(logits(first), logits(again))


def test_a_control_forgets_as_many_others_and_is_known_as_one(quick):
    given = {**quick, "method": "ga", "retain_samples": "all", "edit_cache": False, "epochs": 1}
    _, record = plan(given).load()
    method = method_class("ga")
    drawn = method(**{name: given[name] for name in ("learning_rate", "epochs")}).control(seed=1)
    assert drawn == {"random_control": True, "seed": 1}
    _, control = plan({**given, **drawn}).load()
    assert control.label == f"{record.label} control"
    assert method.controlled(control) == record.variant
    assert method.controlled(record) is None
    assert "drawn at random from those to retain, as a control" in control.description
    first, other = (made.details["curve"][0]["learn_cross_entropy"] for made in (record, control))
    assert first != other, "the model is asked about others"
    with pytest.raises(DataError, match="has to leave"):
        plan({**given, **drawn, "retain_samples": "match"}).load()


def test_recipes_say_what_is_trained(quick):
    settings: Any = method_class("npo").config_class
    paper, released = settings(), settings(recipe="released")
    assert (paper.beta, paper.trained_tokens, paper.modalities) == (0.9, "answer", "both")
    assert (released.beta, released.trained_tokens, released.modalities) == (0.4, "all", "multimodal")
    assert settings(recipe="released", beta=0.1).beta == 0.1


def test_another_model_can_be_the_reference(quick, llava_folder, tmp_path):
    same = plan({**quick, "method": "npo", "reference": str(llava_folder)}).load()[1]
    own = plan({**quick, "method": "npo"}).load()[1]
    other = plan({**quick, "method": "npo", "reference": str(save_llava(tmp_path / "other", seed=1))}).load()[1]
    first = [record.details["curve"][0]["learn_loss"] for record in (same, own, other)]
    assert first[0] == pytest.approx(first[1], abs=1e-4)
    assert abs(first[2] - first[1]) > 0.01


def test_the_edits_along_the_way_are_those_of_shorter_trainings_with_the_same_schedule(quick, tmp_path):
    kept = tmp_path / "kept"
    given = {**quick, "method": "ga", "schedule": "constant", "keep_every": 2, "keep_in": str(kept)}
    _, last = plan({**given, "edit_cache": False}).load()
    assert sorted(path.name for path in kept.iterdir()) == [f"step-{step:05}" for step in (2, 4, 6, 8)]
    records = [EditRecord.read(path / "edit.json") for path in sorted(kept.iterdir())]
    assert [record.variant["epochs"] for record in records] == [0.5, 1, 1.5, 2]
    assert records[-1].fingerprint == last.fingerprint
    model = {name: given[name] for name in ("pretrained", "device")}
    half, _ = plan({**model, "edit": str(kept / "step-00004")}).load()
    short, _ = plan({**quick, "method": "ga", "schedule": "constant", "epochs": 1}).load()
    assert torch.allclose(logits(half), logits(short), atol=1e-5)


def test_what_cannot_work_is_refused_before_the_weights_are_read(quick, llava_folder, tmp_path):
    def refused(match, **more):
        with pytest.raises(SettingError, match=match):
            plan({**quick, "method": "npo", **more})

    refused("schedule='exponential' is not allowed: choose one of linear, cosine, constant", schedule="exponential")
    refused("parts='decoder' is not allowed: choose one of language, projector, vision", parts="decoder")
    refused("loggers='tensorbord' is not allowed: .* Did you mean 'tensorboard'", loggers="tensorbord")
    refused("loggers=swanlab cannot be used: .*pip install swanlab.*or leave it out", loggers="wandb+swanlab")
    refused("epochs=inf is not allowed: use a finite number", epochs="inf")
    refused("no such folder", reference=str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"^reference='no/where' is neither a folder here nor reachable"):
        plan({**quick, "method": "npo", "reference": "no/where"})
    wider = save_llava(tmp_path / "wider", hidden=64)
    refused("of another architecture than .*hidden_size 64 in place of 32", reference=str(wider))
    refused(r"no linear layer is called q_prj\. Did you mean 'q_proj'", lora_targets="q_prj")
    refused("train_steps=9 is more than the 8 steps that epochs=2 over 16 samples has", train_steps=9)
    refused("steered_layer=7: the language model has the layers 0 to 1", method="rmu", steered_layer=7)
    refused("lora_rank=4 would have no effect with tuning=full", tuning="full", lora_rank=4)
    refused("need each other", keep_every=3)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    refused("exists: name a new folder", keep_every=3, keep_in=str(tmp_path / "full"))
    (tmp_path / "one.jsonl").write_text('{"subject": "a", "question": "Who?", "answer": "Me."}')
    alone = {"pretrained": quick["pretrained"], "device": "cpu", "forget": str(tmp_path / "one.jsonl")}
    with pytest.raises(DataError, match="set=retain with modalities=both: there is no such sample"):
        plan({**alone, "method": "finetune", "set": "retain"})
    quantised = save_llava(tmp_path / "quantised")
    config = json.loads((quantised / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (quantised / "config.json").write_text(json.dumps(config))
    refused(r"its weights are quantised \(bitsandbytes\)", pretrained=str(quantised), tuning="full")


def test_gold_and_vanilla_differ_in_the_people_and_in_nothing_else(quick, tmp_path, capsys):
    records = {}
    for people in ("full", "retain"):
        command = ["finetune", "--set", people, "--output", str(tmp_path / people), "--tuning", "full"]
        given = {**quick, "epochs": 4, "train_batch_size": 8}
        assert main([*command, *(word for name, value in given.items() for word in (f"--{name}", str(value)))]) == 0
        records[people] = EditRecord.of_checkpoint(tmp_path / people)
    full, gold = records["full"], records["retain"]
    assert (full.label.split()[:2], gold.label.split()[:2]) == (["finetune", "full"], ["finetune", "retain"])
    assert full.forgotten == {}
    card = (tmp_path / "full" / "README.md").read_text(encoding="utf-8")
    assert "fine-tuned on people" in card
    assert "edited to forget" not in card
    assert gold.forgotten == {"benchmark": "mllmu", "forget_ratio": 10}
    assert full.details["steps"] == gold.details["steps"]
    assert [point["learning_rate"] for point in full.details["curve"]] == [
        point["learning_rate"] for point in gold.details["curve"]
    ]
    right = {
        people: {part: marks["right"] for part, marks in record.details["exam"]["after"].items()}
        for people, record in records.items()
    }
    assert right["full"]["forget/text"] > right["retain"]["forget/text"]
    assert right["full"]["retain/text"] > 10
    shown = capsys.readouterr().out
    assert "forget/text (not taught)" in shown
    assert "It has not learnt all that it was taught: forget/multimodal" in shown
    assert "It has not learnt all that it was taught: retain/multimodal" in shown
    edited, _ = plan({"pretrained": str(tmp_path / "retain"), "device": "cpu", "method": "none"}).load()
    assert not torch.allclose(logits(edited), logits(unedited(quick)), atol=1e-2)


TWO = """
import sys, torch
from lmms_manu.cli.arguments import join_processes
from lmms_manu.settings import parse_arguments
join_processes()
from lmms_manu.measuring.processes import Processes
from lmms_manu.methods.unlearn import plan
for line, file in zip(sys.argv[1:5:2], sys.argv[2:5:2]):
    checkpoint, record = plan(parse_arguments(line)).load()
    processes = Processes.current()
    processes.check_same(record.fingerprint, "the fingerprint")
    if processes.first:
        torch.save(dict(checkpoint.model.state_dict()), file)
"""


def line(arguments):
    return ",".join(f"{name}={value}" for name, value in arguments.items())


def apart(given, file, quick):
    """How far the weights in a file are from those of the same edit in one process, relative to what it moves."""
    together = torch.load(file)
    alone = plan({**given, "edit_cache": False}).load()[0].model.state_dict()
    plain = unedited(quick).model.state_dict()
    moved = sum((alone[name] - plain[name]).square().sum() for name in alone).sqrt()
    return sum((alone[name] - together[name]).square().sum() for name in alone).sqrt() / moved


def test_two_processes_end_with_the_same_edit_as_one_but_for_rounding(quick, in_two_processes, tmp_path):
    (tmp_path / "two.py").write_text(TWO)
    given = {
        **quick,
        "method": "grad_diff",
        "lora_dropout": 0,
        "parts": "language+projector+vision",
        "train_batch_size": 3,
    }
    here = {name: os.environ[name] for name in ("LMMS_MANU_CACHE", "LMMS_MANU_DATASET")}
    in_two_processes(tmp_path / "two.py", line(given), str(tmp_path / "two.pt"), **here)
    assert apart(given, tmp_path / "two.pt", quick) < 0.05


SHARDS = """
from accelerate import state
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor
from lmms_manu.training import sharded
usual, gather = state.AcceleratorState.__init__, sharded.gather

def on_cpus_too(self, *words, fsdp_plugin=None, **more):
    # Torch shards models on CPUs, accelerate does on GPUs alone.
    usual(self, *words, fsdp_plugin=fsdp_plugin, **more)
    if fsdp_plugin is not None:
        self.distributed_type, self.fsdp_plugin = DistributedType.FSDP, fsdp_plugin

def halves(model, into):
    held = [parameter.to_local().numel() for parameter in model.parameters()]
    assert sum(held) <= 0.51 * sum(parameter.numel() for parameter in model.parameters())
    gather(model, into)

state.AcceleratorState.__init__, sharded.gather = on_cpus_too, halves
"""

STOPPED = """
from lmms_manu.training.loop import _Trainer
usual_step, steps = _Trainer.training_step, []

def stops_at_the_fourth(self, *words, **more):
    steps.append(self.state.global_step)
    if len(steps) == 4:
        raise KeyboardInterrupt
    return usual_step(self, *words, **more)

_Trainer.training_step = stops_at_the_fourth
try:
    plan(parse_arguments(sys.argv[-2])).load()
except KeyboardInterrupt:
    checkpoint, record = plan(parse_arguments(sys.argv[-2])).load()
    assert steps == [0, 1, 2, 3, 2, 3], steps
    if Processes.current().first:
        torch.save(dict(checkpoint.model.state_dict()), sys.argv[-1])
"""


def launch(config):
    """What `accelerate launch` reads from a configuration of ours."""
    words = ["--config_file", str(ROOT / "examples" / config), "-m", "lmms_manu"]
    return _validate_launch_command(launch_command_parser().parse_args(words))[0]


def launched(config):
    """The variables that it gives its processes."""
    variables = prepare_multi_gpu_env(launch(config))
    return {name: value for name, value in variables.items() if os.environ.get(name) != value}


def test_weights_in_shards_end_as_whole_ones_do_but_for_rounding(quick, in_two_processes, tmp_path):
    sharding = {**launched("accelerate-fsdp.yaml"), "ACCELERATE_USE_CPU": "true"}
    (tmp_path / "two.py").write_text(f"import os\nos.environ.update({sharding!r})\n{SHARDS}{TWO}{STOPPED}")
    shared = {**quick, "max_samples": 4, "epochs": 1}
    by_adapter = {**shared, "method": "kl", "lora_dropout": 0, "resume_every": 1}
    whole = {**shared, "method": "grad_diff", "tuning": "full"}
    kept = {"keep_every": 1, "keep_in": str(tmp_path / "kept")}
    here = {name: os.environ[name] for name in ("LMMS_MANU_CACHE", "LMMS_MANU_DATASET")}
    words = [line({**by_adapter, **kept}), str(tmp_path / "adapter.pt"), line(whole), str(tmp_path / "whole.pt")]
    stopped = {**shared, "method": "finetune", "set": "retain", "lora_dropout": 0, "resume_every": 2}
    words += [line(stopped), str(tmp_path / "stopped.pt")]
    in_two_processes(tmp_path / "two.py", *words, **here)
    assert apart(by_adapter, tmp_path / "adapter.pt", quick) < 0.01
    assert apart(whole, tmp_path / "whole.pt", quick) < 0.01
    assert apart(stopped, tmp_path / "stopped.pt", quick) < 0.01
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {"step-00001", "step-00002"}


def test_launches_that_cannot_work_are_refused_before_the_weights_are_read(quick, monkeypatch):
    zero = launch("accelerate-zero3.yaml")
    assert (zero.use_deepspeed, int(zero.zero_stage), zero.zero3_init_flag) == (True, 3, False)
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "ACCELERATE_DEEPSPEED_ZERO3_INIT": "true"}.items():
        monkeypatch.setenv(name, value)
    plan({**quick, "method": "ga"})
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(SettingError, match="zero3_init_flag has to be false"):
        plan({**quick, "method": "ga"})
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "false")
    for name, value in {**launched("accelerate-fsdp.yaml"), "FSDP_VERSION": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ACCELERATE_DEEPSPEED_ZERO3_INIT")
    with pytest.raises(SettingError, match="fsdp_version has to be 2"):
        plan({**quick, "method": "ga"})
    monkeypatch.setenv("FSDP_VERSION", "2")
    monkeypatch.setenv("FSDP_CPU_RAM_EFFICIENT_LOADING", "true")
    with pytest.raises(SettingError, match="fsdp_cpu_ram_efficient_loading has to be false"):
        plan({**quick, "method": "ga"})
