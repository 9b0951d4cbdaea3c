"""The subcommands measure, prune, inspect and cache, called as the command line calls them."""

import contextlib
import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForImageTextToText, AutoProcessor, LlavaConfig

from lmms_manu.cli.main import main
from lmms_manu.editing.changes import SystemPrompt
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.errors import ModelError, SettingError
from lmms_manu.measuring.parts import PARTS
from lmms_manu.measuring.statistics_cache import StatisticsCache
from lmms_manu.methods.export import add_older_names, write_checkpoint
from lmms_manu.methods.finished import FinishedEdits
from lmms_manu.methods.unlearn import plan
from lmms_manu.models.loading import check_files

INPUTS = {"input_ids": torch.arange(5, 25).unsqueeze(0)}


@pytest.fixture
def model_options(arguments):
    return [word for name, value in arguments.items() for word in (f"--{name}", str(value))]


def lines(capsys):
    return capsys.readouterr().out


def test_a_pruned_checkpoint_loads_by_itself_and_computes_what_pruning_in_memory_does(
    arguments, model_options, tmp_path, capsys
):
    assert main(["prune", *model_options, "--prune-rate", "10", "--out", str(tmp_path / "pruned")]) == 0
    assert "of 96 language neurons" in lines(capsys)
    written = AutoModelForImageTextToText.from_pretrained(tmp_path / "pruned")
    in_memory, record = plan({**arguments, "prune_rate": 10}).load()
    assert torch.equal(written(**INPUTS).logits, in_memory.model(**INPUTS).logits)
    assert AutoProcessor.from_pretrained(tmp_path / "pruned").tokenizer("a").input_ids
    assert json.loads((tmp_path / "pruned" / "edit.json").read_text())["fingerprint"] == record.fingerprint
    assert NeuronMask.load(tmp_path / "pruned").fingerprint == record.fingerprint
    again, _ = plan({"pretrained": arguments["pretrained"], "edit": str(tmp_path / "pruned")}).load()
    assert torch.equal(written(**INPUTS).logits, again.model(**INPUTS).logits), "the edit can be taken out of it"


def test_a_checkpoint_can_be_written_as_it_is(arguments, model_options, tmp_path):
    assert main(["prune", *model_options, "--prune_rate", "0", "--out", str(tmp_path / "copy")]) == 0
    written = AutoModelForImageTextToText.from_pretrained(tmp_path / "copy")
    original = AutoModelForImageTextToText.from_pretrained(arguments["pretrained"])
    assert torch.equal(written(**INPUTS).logits, original(**INPUTS).logits)
    assert not (tmp_path / "copy" / "edit").exists()


def test_the_model_card_records_the_edit(model_options, tmp_path):
    main(["prune", *model_options, "--recipe", "ratio", "--prune_rate", "10", "--out", str(tmp_path / "pruned")])
    card = (tmp_path / "pruned" / "README.md").read_text()
    assert "manu ratio 10 %" in card
    assert '"recipe": "ratio"' in card
    # A folder is no name that the hub could link to.
    assert "base_model" not in card


def test_the_model_card_names_the_tasks_and_what_was_done(arguments, tmp_path):
    words = ["prune", "--pretrained", arguments["pretrained"], "--device", "cpu", "--max_samples", "2"]
    cards = {}
    for name, own in {
        "paper": ["--prune_rate", "10", "--forget_ratio", "15"],
        "random": ["--prune_rate", "10", "--recipe", "random"],
        "as it is": ["--prune_rate", "0"],
        "too few": ["--prune_rate", "0.01"],
    }.items():
        assert main([*words, *own, "--out", str(tmp_path / name)]) == 0
        cards[name] = (tmp_path / name / "README.md").read_text()
    assert "method=none --tasks mllmu_15`" in cards["paper"]
    assert ", edited to forget\n" in cards["paper"]
    assert "mattered most" in cards["paper"]
    assert "mattered most" not in cards["random"]
    assert "drawn at random" in cards["random"]
    for name, reason in {"as it is": "nothing was edited", "too few": "manu paper 0.01 % changed nothing"}.items():
        assert reason in cards[name]
        assert "not edited" in cards[name]
        assert "weights of zero" not in cards[name]


def test_an_edit_of_an_edited_checkpoint_records_both(arguments, tmp_path):
    words = ["prune", "--pretrained", arguments["pretrained"], "--device", "cpu", "--recipe", "random"]
    assert main([*words, "--prune_rate", "10", "--out", str(tmp_path / "first")]) == 0
    first = json.loads((tmp_path / "first" / "edit.json").read_text())
    more = {"pretrained": str(tmp_path / "first"), "device": "cpu", "recipe": "random", "seed": 1, "prune_rate": 20}
    _, record = plan(more).load()
    assert record.details["before"]["fingerprint"] == first["fingerprint"]
    assert record.fingerprint not in (None, first["fingerprint"])


def test_nothing_is_overwritten(model_options, tmp_path, capsys):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "letter").touch()
    assert main(["prune", *model_options, "--out", str(tmp_path / "kept")]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


def test_what_somebody_else_wrote_meanwhile_stays(arguments, tmp_path):
    checkpoint, record = plan({**arguments, "prune_rate": 10}).load()
    out = tmp_path / "pruned"

    class Late(SystemPrompt):
        def save(self, folder, about):
            out.mkdir()
            (out / "letter").touch()

    with pytest.raises(SettingError, match=r"pruned' was written by somebody else meanwhile.* name another folder"):
        write_checkpoint(checkpoint, record, Late("hello"), out)
    assert [path.name for path in out.iterdir()] == ["letter"]
    assert not list(tmp_path.glob(".pruned*"))


def test_statistics_are_written_and_then_read_from_the_cache(model_options, tmp_path, capsys):
    command = ["measure", *model_options, "--out"]
    assert main([*command, str(tmp_path / "statistics.safetensors")]) == 0
    assert "4 of 4 parts measured now" in lines(capsys)
    assert main([*command, str(tmp_path / "again.safetensors")]) == 0
    assert "0 of 4 parts measured now, 4 read from the cache" in lines(capsys)
    with safe_open(tmp_path / "statistics.safetensors", framework="pt") as opened:
        assert {opened.get_tensor(name).shape for name in map(str, PARTS)} == {(5, 192)}


def test_what_is_measured_is_what_pruning_needs(model_options, arguments):
    main(["measure", *model_options])
    _, record = plan(arguments).load()
    assert [step["measured_parts"] for step in record.details["rounds"]] == [0]


@pytest.mark.parametrize("options", [[], ["--recipe", "released", "--prune_rate", "25"]])
def test_inspecting_statistics_shows_activations_and_what_would_be_pruned(model_options, tmp_path, capsys, options):
    file = tmp_path / "statistics.safetensors"
    main(["measure", *model_options, "--out", str(file)])
    capsys.readouterr()
    assert main(["inspect", str(file), *options, "--plot", str(tmp_path / "plots")]) == 0
    shown = lines(capsys)
    assert "mean |z|" in shown
    if options:
        assert "released at 25 %, scope tower" in shown
    drawn = {path.name for path in (tmp_path / "plots").iterdir()}
    assert drawn == {"pruned-per-layer.png", "activations.png", "scores.png"}


def test_inspecting_a_mask_shows_each_layer(model_options, tmp_path, capsys):
    rate = ["--scope", "layer", "--prune_rate", "25"]
    main(["prune", *model_options, *rate, "--save_mask", str(tmp_path / "kept"), "--out", str(tmp_path / "pruned")])
    capsys.readouterr()
    assert main(["inspect", str(tmp_path / "kept"), "--plot", str(tmp_path / "plots"), "--format", "svg"]) == 0
    assert lines(capsys).count("25.00 %") == 6
    assert (tmp_path / "plots" / "pruned-per-layer.svg").is_file()
    assert main(["inspect", str(tmp_path / "kept"), "--recipe", "ratio", "--prune_rate", "5"]) == 2
    assert "is a mask, whose neurons are chosen already: leave --recipe and --prune_rate out" in capsys.readouterr().err


def test_inspecting_a_file_of_the_cache_says_what_to_inspect_instead(model_options, tmp_path, capsys):
    main(["prune", *model_options, "--out", str(tmp_path / "kept")])
    for part in StatisticsCache.default().parts():
        assert main(["inspect", str(part.path)]) == 2
        assert "measure --out" in capsys.readouterr().err


def test_inspecting_something_else_is_an_error(tmp_path, capsys):
    (tmp_path / "letter.txt").write_text("hello")
    assert main(["inspect", str(tmp_path / "letter.txt")]) == 2
    assert "letter.txt cannot be read" in capsys.readouterr().err


def test_the_cache_can_be_listed_limited_and_cleaned(model_options, tmp_path, capsys):
    main(["prune", *model_options, "--output", str(tmp_path / "pruned")])
    StatisticsCache.default().partial({"any": 1}).save(3, torch.zeros(5, 2), 2)
    capsys.readouterr()
    assert main(["cache", "list"]) == 0
    shown = lines(capsys)
    assert all(part in shown for part in ("forget/multimodal", "retain/text", "unfinished", "manu paper"))
    assert main(["cache", "list", "--what", "unfinished"]) == 2
    assert "list shows everything" in capsys.readouterr().err
    assert main(["cache", "clean", "--older_than", "1"]) == 0
    assert "removed 0 entries" in lines(capsys)
    assert main(["cache", "clean", "--limit", "20KB"]) == 0
    left = [*StatisticsCache.default().parts(), *FinishedEdits.default().entries()]
    assert left
    assert sum(entry.size for entry in left) <= 20 * 1024
    assert main(["cache", "clean"]) == 0
    assert not FinishedEdits.default().entries()
    assert StatisticsCache.default().parts() == StatisticsCache.default().unfinished() == []


def test_the_cache_is_listed_and_cleaned_while_others_use_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LMMS_MANU_CACHE", str(tmp_path))
    over = threading.Event()

    def use():
        cache = StatisticsCache.default()
        sums = torch.zeros(5, 10, dtype=torch.float64)
        for number in itertools.cycle(range(50)):
            if over.is_set():
                return
            cache.store({"number": number}, sums, {"part": "a part", "checkpoint": "a model"})
            unfinished = cache.partial({"number": number})
            with contextlib.suppress(OSError):  # where the cleaning takes the folder away meanwhile
                unfinished.save(0, sums, 1)
            unfinished.clear()

    with ThreadPoolExecutor(1) as pool:
        used = pool.submit(use)
        try:
            codes = [main(["cache", action]) for _ in range(25) for action in ("list", "clean")]
        finally:
            over.set()
        used.result()
    assert codes == [0] * 50
    assert "Errno" not in capsys.readouterr().err


REMOVED = ["--prune_mode", "remove", "--prune_rate", "30"]


def test_what_could_not_be_saved_is_refused_before_anything_is_measured(model_options, tmp_path, capsys):
    assert main(["prune", *model_options, *REMOVED, "--out", str(tmp_path / "out")]) == 2
    assert "use uniform=true, scope=layer or prune_mode=zero" in capsys.readouterr().err
    # The last layer of LLaVA's vision tower is never read, and keeps its width.
    assert main(["prune", *model_options, *REMOVED, "--uniform", "true", "--out", str(tmp_path / "out")]) == 2
    assert "cannot be saved" in capsys.readouterr().err
    assert not StatisticsCache.default().parts()


@pytest.mark.parametrize("evenly", [["--scope", "layer"], ["--uniform", "true"]])
def test_a_checkpoint_with_neurons_removed_is_smaller_and_loads(model_options, tmp_path, capsys, evenly):
    out = tmp_path / "out"
    options = [*REMOVED, *evenly, "--towers", "language", "--for", "vllm"]
    assert main(["prune", *model_options, *options, "--out", str(out)]) == 0
    assert f"vllm serve {out}" in lines(capsys)
    model = AutoModelForImageTextToText.from_pretrained(out)
    assert model.config.text_config.intermediate_size == 40
    assert main(["inspect", str(out)]) == 0
    assert [file.name for file in out.glob("*.safetensors")] == ["model.safetensors"], "servers read all of them"


def test_a_checkpoint_that_its_configuration_does_not_describe_is_none_for_other_loaders(model_options, tmp_path):
    out = tmp_path / "out"
    assert main(["prune", *model_options, "--for", "sglang", "--out", str(out)]) == 0
    check_files(out)
    stored = json.loads((out / "config.json").read_text())
    stored["text_config"]["intermediate_size"] = 40
    (out / "config.json").write_text(json.dumps(stored))
    with pytest.raises(ModelError, match=r"mlp.down_proj.weight of shape \(32, 48\) in place of \(32, 40\)"):
        check_files(out)


def test_older_loaders_find_the_rotary_positions_that_newer_ones_do(tmp_path):
    rotary = {"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    rotary |= {"original_max_position_embeddings": 1024}
    config = LlavaConfig(text_config={"model_type": "llama", "rope_parameters": rotary})
    config.save_pretrained(tmp_path)
    add_older_names(tmp_path / "config.json")
    text = json.loads((tmp_path / "config.json").read_text())["text_config"]
    assert text["rope_theta"] == 5e5
    assert text["rope_scaling"] == {name: value for name, value in rotary.items() if name != "rope_theta"}
    assert LlavaConfig.from_pretrained(tmp_path).text_config.rope_parameters == config.text_config.rope_parameters


@pytest.mark.parametrize("is_there", [True, False])
def test_a_checkpoint_is_written_through_a_link(model_options, tmp_path, is_there):
    place, link = tmp_path / "place", tmp_path / "link"
    if is_there:
        place.mkdir()
    link.symlink_to(place)
    assert main(["prune", *model_options, "--out", str(link)]) == 0
    assert link.is_symlink()
    assert (place / "model.safetensors").is_file()


@pytest.mark.parametrize("command", ["measure", "prune", "inspect", "cache"])
def test_help_shows_examples_and_every_option(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "-h"])
    assert stopped.value.code == 0
    assert "example" in lines(capsys)
