"""What is timed on a card: each function takes the figures of one thing that the library does with a model."""

from __future__ import annotations

import functools
import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from gpu_timing import Figures, Timer, operations
from random_llava import noise_pictures, rendered_examples
from shapes import Shape
from transformers import AutoModelForImageTextToText

from lmms_manu.answering.engine import AnsweringEngine
from lmms_manu.answering.generation import Generation
from lmms_manu.answering.requests import PromptRequest
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.editing.columns import down_columns, down_projections
from lmms_manu.editing.mask import NeuronMask
from lmms_manu.editing.weights import read_weight
from lmms_manu.editing.zero import verify_zeros, zero_neurons
from lmms_manu.measuring.gathering import PerNeuron, PerPair
from lmms_manu.measuring.layout import NeuronLayout
from lmms_manu.measuring.measure import measure
from lmms_manu.measuring.parts import PARTS
from lmms_manu.measuring.runner import ActivationRunner
from lmms_manu.measuring.settings import MeasureSettings
from lmms_manu.methods.erase.erasure import Moments, erasure
from lmms_manu.methods.manu.config import ManuSettings
from lmms_manu.methods.manu.scope import choose, score
from lmms_manu.methods.mip_editor.config import MipEditorSettings
from lmms_manu.methods.mip_editor.paths import search_of
from lmms_manu.methods.mip_editor.search import PathRunner
from lmms_manu.models.blocks import VISION, find_mlp_blocks
from lmms_manu.models.inputs import PromptEncoder, to_device
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.models.wrapping import wrap
from lmms_manu.training import terms
from lmms_manu.training.objective import Terms, Weighted
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.train import TrainingTask, train

EXEMPLARS = 5
LOADED = "LLaVA-1.5-7B"
"""The shape that is written and loaded; the disk says more about that than the others' sizes."""

_TERMS = {
    "npo": Terms(Weighted(terms.NpoTerm(0.9))),
    "kl": Terms(Weighted(terms.Ascent()), Weighted(terms.Closeness())),
}


class Stand:
    """A model of random weights on a device, made there, with what the sections ask it.

    Args:
        name: of the shape.
        shape: the shape.
        device: where.
        tiny: takes the tiny shape, and a few samples in place of many.
        box: seconds for which something short is repeated.
        rate: operations per second that the device reaches in a plain product.
    """

    def __init__(self, name: str, shape: Shape, device: torch.device, *, tiny: bool, box: float, rate: float) -> None:
        torch.manual_seed(0)
        config = shape.tiny() if tiny else shape.config()
        with torch.device(device):
            model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
        ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
        model.generation_config.update(**ends)
        self.checkpoint: Checkpoint = wrap(model, shape.processor(tiny), name=name)
        self.tiny = tiny
        self.rate = rate
        self.timer = Timer(device, box)
        self.blocks = find_mlp_blocks(model)
        self.encoder = PromptEncoder(self.checkpoint)
        self._placeholder = shape.placeholder
        self._side = 28 if tiny else 336

    def examples(self, number: int, *, pictured: bool = True) -> list[Any]:
        return rendered_examples(number, pictured=pictured, placeholder=self._placeholder, size=self._side)

    def requests(self, number: int, new_tokens: int, exemplars: int = 0) -> list[PromptRequest]:
        """Questions behind the same exemplars, each with a picture."""
        shots = "".join(
            f"USER: {self._placeholder}\nQuestion: who is this? A: one B: two\nCorrect Answer: A\n"
            for _ in range(exemplars)
        )

        def pictures(place: int) -> list[Any]:
            seeds = [*range(1000, 1000 + exemplars), place]
            return [noise_pictures(seed, self._side)[0] for seed in seeds]

        return [
            PromptRequest(
                f"{shots}USER: {self._placeholder}\nQuestion: who is person {place}? A: one B: two\nCorrect Answer:",
                functools.partial(pictures, place),
                Generation(max_new_tokens=new_tokens),
                group="classification",
            )
            for place in range(number)
        ]


def size(stand: Stand) -> Figures:
    """How large the model is."""
    weights = sum(parameter.numel() * parameter.element_size() for parameter in stand.checkpoint.model.parameters())
    return {"parameters_b": stand.checkpoint.model.num_parameters() / 1e9, "weights_gib": weights / 2**30}


def measuring(stand: Stand) -> Figures:
    """Measuring all neurons against the forward passes alone, over one encoded batch; and whole, encoding included."""
    runner = ActivationRunner(stand.checkpoint, stand.encoder, stand.blocks, PerNeuron(NeuronLayout.of(stand.blocks)))
    figures: Figures = {}
    for modality in ("multimodal", "text"):
        batch = runner.encode(stand.examples(2 if stand.tiny else 8, pictured=modality == "multimodal"))
        forward = functools.partial(_forward, stand, batch.inputs)
        taken = stand.timer.each({"bare": forward, "measured": functools.partial(runner.run, batch)})
        ratios = [own / bare for own, bare in zip(taken["measured"], taken["bare"], strict=True)]
        bare = statistics.median(taken["bare"])
        figures[f"{modality}_ratio"] = statistics.median(ratios)
        figures[f"{modality}_share_of_card"] = operations(forward) / bare / stand.rate
    number = 3 if stand.tiny else 32
    parts = {part: stand.examples(number, pictured=part.modality == "multimodal") for part in PARTS}
    settings = MeasureSettings(statistics_batch_size=8, statistics_cache=False)
    seconds = stand.timer.once(lambda: measure(stand.checkpoint, stand.blocks, parts, settings, progress=False))
    return {**figures, "samples_per_s": len(parts) * number / seconds}


def _forward(stand: Stand, inputs: Mapping[str, Any]) -> None:
    model: Any = stand.checkpoint.model
    moved = to_device(inputs, stand.checkpoint.device, model.dtype)
    with torch.inference_mode():
        model(**moved, use_cache=False, logits_to_keep=1)


def pruning(stand: Stand) -> Figures:
    """Scores and choice from known statistics, and two percent of the neurons zeroed and read back."""
    parts = {part: stand.examples(2, pictured=part.modality == "multimodal") for part in PARTS}
    quick = MeasureSettings(statistics_batch_size=8, statistics_cache=False)
    statistics_ = measure(stand.checkpoint, stand.blocks, parts, quick, progress=False)
    settings = ManuSettings(recipe="ratio", prune_rate=2)
    found: list[torch.Tensor] = []
    scoring = stand.timer.once(
        lambda: found.append(choose(statistics_.layout, score(statistics_, settings), settings).marked)
    )
    indices = [own.nonzero().flatten() for own in statistics_.layout.split(found[0])]
    mask = NeuronMask.of_blocks(stand.blocks, indices)
    model = stand.checkpoint.model
    zeroing = stand.timer.once(lambda: zero_neurons(model, stand.blocks, mask))
    checking = stand.timer.once(lambda: verify_zeros(model, stand.blocks, mask))
    return {"scoring_s": scoring, "zeroing_s": zeroing, "reading_back_s": checking, "neurons": mask.count}


def answering(stand: Stand) -> Figures:
    """Classification prompts with exemplar pictures, per second: batched and shared, one by one, and a simple loop."""
    few = 2 if stand.tiny else 12
    ways: dict[str, tuple[int, Callable[[list[PromptRequest]], object]]] = {
        "shared": (4 if stand.tiny else 120, functools.partial(_answer, stand, "auto", True)),
        "batch_1": (few, functools.partial(_answer, stand, "1", False)),
        "loop": (few, functools.partial(simple_loop, stand)),
    }
    rates = {}
    for name, (number, ask) in ways.items():
        # Not the first questions: nothing is left over from those.
        ask(stand.requests(4, 2, EXEMPLARS))
        requests = stand.requests(number, 2, EXEMPLARS)
        rates[f"{name}_per_s"] = number / stand.timer.once(functools.partial(ask, requests))
    return {**rates, "times_the_loop": rates["shared_per_s"] / rates["loop_per_s"]}


def generating(stand: Stand) -> Figures:
    """Tokens per second of answers of fifty tokens about a picture, batched and in a simple loop."""
    tokens = 5 if stand.tiny else 50
    number, few = (3, 1) if stand.tiny else (64, 2)
    ask = functools.partial(_answer, stand, "auto", True)
    ask(stand.requests(2, 2))
    made = [sum(answer.new_tokens for answer in ask(stand.requests(number, tokens)))]
    batched = stand.timer.once(lambda: made.append(sum(a.new_tokens for a in ask(stand.requests(number, tokens)))))
    looped: list[int] = []
    loop = stand.timer.once(lambda: looped.append(simple_loop(stand, stand.requests(few, tokens))))
    return {"tokens_per_s": made[-1] / batched, "loop_tokens_per_s": looped[0] / loop}


def _answer(stand: Stand, batch_size: str, shares: bool, requests: list[PromptRequest]) -> list[Any]:
    settings = AnsweringSettings(batch_size=batch_size, reuse_prefix=shares)
    return AnsweringEngine(stand.checkpoint, stand.encoder, settings).answer(requests)


def simple_loop(stand: Stand, requests: list[PromptRequest]) -> int:
    """One prompt after the other, as in the models' own documentation; returns the number of new tokens."""
    model: Any = stand.checkpoint.model
    processor: Any = stand.checkpoint.processor
    total = 0
    for request in requests:
        inputs = processor(text=[request.text], images=list(request.pictures()), return_tensors="pt")
        moved = to_device(inputs, stand.checkpoint.device, model.dtype)
        with torch.inference_mode():
            new = model.generate(**moved, max_new_tokens=request.generation.max_new_tokens, do_sample=False)
        total += new.shape[1] - moved["input_ids"].shape[1]
    return total


def training(stand: Stand) -> Figures:
    """LoRA steps per second of four pictured samples, of two losses."""
    steps = 2 if stand.tiny else 8
    batch = 2 if stand.tiny else 4
    settings = TrainingSettings(
        train_batch_size=batch, train_steps=steps, epochs=1, resume_every=0, modalities="multimodal", learning_rate=1e-4
    )
    learn = {"multimodal": stand.examples(steps * batch)}
    figures: Figures = {}
    for name, minimised in _TERMS.items():
        trained = train(stand.checkpoint, TrainingTask(learn, minimised, name, learn), settings)
        figures[f"{name}_steps_per_s"] = trained.steps / trained.seconds["train"]
    return figures


def paths(stand: Stand) -> Figures:
    """Samples per second whose path is searched, of four points, in each tower."""
    figures: Figures = {}
    for tower in sorted({block.tower for block in stand.blocks}):
        own = [block for block in stand.blocks if block.tower == tower]
        modality = "multimodal" if tower == VISION else "text"
        search = search_of(tower, MipEditorSettings(recipe="released", points=4))
        runner = PathRunner(stand.checkpoint, own, search, modality)
        samples = runner.encode(stand.examples(1, pictured=tower == VISION))
        figures[f"{tower}_samples_per_s"] = 1 / stand.timer.once(functools.partial(runner.run, samples))
    return figures


def erasing(stand: Stand) -> Figures:
    """Second moments of one language block over a batch of eight, and the closed form of one block in float64."""
    block = down_projections(stand.checkpoint)[0]
    gathering = PerPair(NeuronLayout.of([block]))
    runner = ActivationRunner(stand.checkpoint, stand.encoder, [block], gathering)
    batch = runner.encode(stand.examples(2 if stand.tiny else 8))
    (values,) = runner.run(batch)
    moments = stand.timer.once(functools.partial(runner.run, batch))
    second = values[:-2] / values[-1]
    known = Moments(second, values[-2] / values[-1])
    weight = read_weight(stand.checkpoint.model, block.slots[0].parameter).clone()
    (columns,) = down_columns(weight, block)
    penalty = 0.1 * float(second.diagonal().mean())
    solving = stand.timer.once(lambda: erasure(columns.double(), known, known, 1.0, penalty))
    return {"moments_s_per_batch": moments, "solving_s_per_block": solving}


def loading(stand: Stand) -> Figures:
    """Writing the model, and loading it as a checkpoint."""
    checkpoint = stand.checkpoint
    with tempfile.TemporaryDirectory() as folder:
        writing = stand.timer.once(lambda: checkpoint.model.save_pretrained(folder))
        checkpoint.processor.save_pretrained(folder)
        written = sum(file.stat().st_size for file in Path(folder).iterdir())
        settings = ModelSettings(pretrained=folder, device=str(checkpoint.device))
        seconds = stand.timer.once(lambda: load_checkpoint(settings))
    return {"writing_s": writing, "loading_s": seconds, "loading_gib_per_s": written / 2**30 / seconds}


SECTIONS: dict[str, Callable[[Stand], Figures]] = {
    "size": size,
    "measuring": measuring,
    "answering": answering,
    "generating": generating,
    "training": training,
    "erasing": erasing,
    "paths": paths,
    "pruning": pruning,
    "loading": loading,
}
"""In the order in which they are gone through; what changes or writes the weights comes last."""
