"""What the likelihoods of a leaf cost beside the bare forward passes over the same prompts and answers, in one run.

The bare passes compute the logits of as many places as the longest answer of the leaf has, and no others, as the
likelihoods do; their inputs are ready, while the likelihoods' time has the reading of prompts and pictures in it.
"""

from __future__ import annotations

import functools
import tempfile
import time
from pathlib import Path

import torch

from lmms_manu import embedded
from lmms_manu.answering import AnsweringSettings, Generation, LikelihoodScorer, PromptRequest
from lmms_manu.benchmarks.mllmu import DatasetSource, ProtocolSettings, likelihoods
from lmms_manu.models.inputs import PromptEncoder, to_device
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings

LEAVES = ("mllmu_forget_10_likelihood_text", "mllmu_forget_10_likelihood_multimodal")
BATCH = 32


def main() -> None:
    for leaf in LEAVES:
        measure(leaf)


def measure(name: str) -> None:
    """Prints both times for a leaf and their ratio."""
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(embedded.model_folder("vanilla")), device="cpu"))
    encoder = PromptEncoder(checkpoint)
    with tempfile.TemporaryDirectory() as scratch:
        source = DatasetSource.resolve(str(embedded.make_embedded_dataset(Path(scratch) / "data")))
        leaf = likelihoods.LEAVES_OF_LIKELIHOODS[name]
        documents = likelihoods.load_likelihoods(leaf, source, ProtocolSettings()).documents.to_list()
        prompts = [likelihoods.pictures(document).prompt for document in documents]
    requests = [
        PromptRequest(
            encoder.released_text(prompt.released),
            functools.partial(list, prompt.pictures),
            Generation(),
            document["leaf"],
            continuations=prompt.continuations,
        ).scored()
        for prompt, document in zip(prompts, documents, strict=True)
    ]
    texts = [(one.text + each, one.pictures()) for one in requests for each in one.continuations]
    texts.sort(key=lambda pair: -len(pair[0]))
    batches = [
        encoder.encode(*zip(*texts[start : start + BATCH], strict=True)) for start in range(0, len(texts), BATCH)
    ]
    longest = max(len(encoder.text_ids(each)) for one in requests for each in one.continuations) + 1
    scorer = LikelihoodScorer(checkpoint, encoder, AnsweringSettings(batch_size=str(BATCH)))
    bare, scored = [], []
    for _ in range(3):
        started = time.perf_counter()
        with torch.inference_mode():
            for batch in batches:
                checkpoint.model(**to_device(batch, checkpoint.device), use_cache=False, logits_to_keep=longest)
        bare.append(time.perf_counter() - started)
        started = time.perf_counter()
        scorer.score(requests)
        scored.append(time.perf_counter() - started)
    print(f"{name}: {len(texts)} answers, bare forward passes {min(bare):.3f} s, likelihoods {min(scored):.3f} s")
    print(f"ratio {min(scored) / min(bare):.2f}")


if __name__ == "__main__":
    main()
