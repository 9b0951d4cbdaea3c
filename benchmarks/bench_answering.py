"""Batched answering against the simplest correct loop: questions per second and prompt tokens computed.

    python benchmarks/bench_answering.py [--model embedded|large|both] [--questions 192] [--rounds 3] [--clock wall|cpu]

Asks MLLMU-Bench classification with its exemplars, picture and text in turn, of the embedded model and of a LLaVA of
about 125 M random weights whose pictures take 196 tokens each. The simple loop gives one prompt after the other to the
processor and to `generate`. Random weights never end an answer, which a trained model does after a letter or two; the
large model is therefore stopped after --large-new-tokens (2; the protocol's limit is 50, at which the decoding of
nonsense takes most of the time). All ways are gone through in every round, so that a busy machine slows all of them;
the medians count, there of the process's own seconds (`OMP_NUM_THREADS=1 ... --clock cpu`). Ends with 1 if a
way's answers are not those of the simple loop, or if the engine's own choice is not three times as fast on the embedded
model.
"""

from __future__ import annotations

import argparse
import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from random_llava import save_random_llava

from lmms_manu import embedded
from lmms_manu.answering.engine import AnsweringEngine
from lmms_manu.answering.generation import Generation
from lmms_manu.answering.requests import PromptRequest
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.benchmarks.mllmu import DatasetSource, ProtocolSettings
from lmms_manu.benchmarks.mllmu.names import leaf_name
from lmms_manu.benchmarks.mllmu.prompt_building import conversation
from lmms_manu.benchmarks.mllmu.questions import LEAVES, load_questions
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings

TARGET = 3.0
NEW_TOKENS = 50
WAYS: dict[str, dict[str, Any]] = {
    "engine, batch size 1, nothing shared": {"batch_size": "1", "reuse_prefix": False},
    "engine, batch size 1": {"batch_size": "1"},
    "engine, nothing shared": {"reuse_prefix": False},
    "engine": {},
}
SIMPLE = "simple loop"
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Way = Callable[[list[PromptRequest]], tuple[list[str], int]]
"""Answers requests: the answers' first characters, and the prompt tokens that went through the model."""


def simple_loop(checkpoint: Checkpoint) -> Way:
    """One prompt after the other, as in the models' own documentation."""

    def ask(requests: list[PromptRequest]) -> tuple[list[str], int]:
        answers, tokens = [], 0
        for request in requests:
            pictures = list(request.pictures())
            inputs = checkpoint.processor(text=[request.text], images=pictures or None, return_tensors="pt")
            length = inputs["input_ids"].shape[1]
            with torch.inference_mode():
                model: Any = checkpoint.model
                new = model.generate(**inputs, max_new_tokens=request.generation.max_new_tokens, do_sample=False)
            answers.append(checkpoint.tokenizer.decode(new[0, length:], skip_special_tokens=True))
            tokens += length
        return answers, tokens

    return ask


def engine(checkpoint: Checkpoint, settings: dict[str, Any]) -> Way:
    """The engine with these settings, each time a new one that has nothing prepared."""

    def ask(requests: list[PromptRequest]) -> tuple[list[str], int]:
        engine = AnsweringEngine(checkpoint, PromptEncoder(checkpoint), AnsweringSettings(**settings))
        answers = [answer.text for answer in engine.answer(requests)]
        return answers, engine.work.computed_prompt_tokens

    return ask


def pictures_of(document: Any) -> Any:
    return conversation(document).pictures


def questions(checkpoint: Checkpoint, dataset: Path, number: int, new_tokens: int) -> list[PromptRequest]:
    """The first questions of both classification leaves of the people to retain."""
    encoder, requests = PromptEncoder(checkpoint), []
    for modality in ("multimodal", "text"):
        leaf = LEAVES[leaf_name("retain", 10, "classification", modality)]
        documents = load_questions(leaf, DatasetSource.resolve(str(dataset)), ProtocolSettings()).documents
        for document in documents.select(range(number // 2)):
            asked = conversation(document)
            generation = Generation(max_new_tokens=new_tokens, first_character_only=asked.first_character_only)
            text = encoder.released_text(asked.released)
            requests.append(
                PromptRequest(text, functools.partial(pictures_of, document), generation, leaf.name, asked.label)
            )
    return requests


def compare(
    name: str, checkpoint: Checkpoint, requests: list[PromptRequest], rounds: int, clock: Callable[[], float]
) -> tuple[list[str], bool]:
    """Goes through all ways; gives the rows of a table, and whether the answers and the target were met."""
    ways = {SIMPLE: simple_loop(checkpoint)} | {way: engine(checkpoint, given) for way, given in WAYS.items()}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    letters: dict[str, list[str]] = {}
    computed: dict[str, int] = {}
    for _ in range(rounds):
        for way, ask in ways.items():
            started = clock()
            answers, computed[way] = ask(requests)
            seconds[way].append(clock() - started)
            letters[way] = [answer.strip()[:1].upper() for answer in answers]
    rates = {way: len(requests) / statistics.median(values) for way, values in seconds.items()}
    rows = [
        f"| {name} | {way} | {rates[way]:.3g} | {rates[way] / rates[SIMPLE]:.1f} | {computed[way]} |" for way in ways
    ]
    equal = all(found == letters[SIMPLE] for found in letters.values())
    if not equal:
        print(f"{name}: the ways answer differently", file=sys.stderr)
    return rows, equal and (name != "embedded" or rates["engine"] >= TARGET * rates[SIMPLE])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=("embedded", "large", "both"), default="both")
    parser.add_argument("--questions", type=int, default=192, help="put to the embedded model")
    parser.add_argument("--large-questions", type=int, default=32, help="put to the large model")
    parser.add_argument("--large-rounds", type=int, default=1)
    parser.add_argument("--large-new-tokens", type=int, default=2, help="of each answer of the large model")
    parser.add_argument("--hidden", type=int, default=768, help="width of the large model")
    parser.add_argument("--layers", type=int, default=16, help="of the large model")
    parser.add_argument("--rounds", type=int, default=3, help="of the embedded model")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: seconds of this process, of one thread")
    arguments = parser.parse_args()
    if arguments.clock == "cpu":
        torch.set_num_threads(1)
    print("| model | way | questions per second | times the loop | prompt tokens computed |\n|---|---|---|---|---|")
    met = True
    with tempfile.TemporaryDirectory() as scratch:
        dataset = embedded.make_embedded_dataset(Path(scratch) / "data")
        for name in ("embedded", "large") if arguments.model == "both" else (arguments.model,):
            shape = {"hidden": arguments.hidden, "neurons": 8 * arguments.hidden // 3, "layers": arguments.layers}
            large = Path(scratch) / "large"
            folder = embedded.model_folder() if name == "embedded" else save_random_llava(large, **shape)
            checkpoint = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))
            small = name == "embedded"
            number = arguments.questions if small else arguments.large_questions
            new_tokens = NEW_TOKENS if small else arguments.large_new_tokens
            rounds = arguments.rounds if small else arguments.large_rounds
            requests = questions(checkpoint, dataset, number, new_tokens)
            found, fine = compare(name, checkpoint, requests, rounds, CLOCKS[arguments.clock])
            print("\n".join(found), flush=True)
            met = met and fine
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
