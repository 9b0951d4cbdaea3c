"""What the likelihoods of a leaf cost beside the bare forward passes over the same prompts and answers, in one run."""

from __future__ import annotations

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

LEAF = "mllmu_forget_10_likelihood_text"
BATCH = 32


def main() -> None:
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(embedded.model_folder("vanilla")), device="cpu"))
    encoder = PromptEncoder(checkpoint)
    with tempfile.TemporaryDirectory() as scratch:
        source = DatasetSource.resolve(str(embedded.make_embedded_dataset(Path(scratch) / "data")))
        leaf = likelihoods.LEAVES_OF_LIKELIHOODS[LEAF]
        documents = likelihoods.load_likelihoods(leaf, source, ProtocolSettings()).documents.to_list()
        prompts = [likelihoods.pictures(document).prompt for document in documents]
    requests = [
        PromptRequest(
            encoder.released_text(prompt.released),
            list,
            Generation(),
            document["leaf"],
            continuations=prompt.continuations,
        ).scored()
        for prompt, document in zip(prompts, documents, strict=True)
    ]
    texts = sorted((one.text + each for one in requests for each in one.continuations), key=len, reverse=True)
    batches = [encoder.encode(some, [[]] * len(some)) for some in _batches(texts)]
    scorer = LikelihoodScorer(checkpoint, encoder, AnsweringSettings(batch_size=str(BATCH)))
    bare, scored = [], []
    for _ in range(3):
        started = time.perf_counter()
        with torch.inference_mode():
            for batch in batches:
                checkpoint.model(**to_device(batch, checkpoint.device), use_cache=False)
        bare.append(time.perf_counter() - started)
        started = time.perf_counter()
        scorer.score(requests)
        scored.append(time.perf_counter() - started)
    print(f"{LEAF}: {len(texts)} answers, bare forward passes {min(bare):.3f} s, likelihoods {min(scored):.3f} s")
    print(f"ratio {min(scored) / min(bare):.2f}")


def _batches(texts: list[str]) -> list[list[str]]:
    return [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]


if __name__ == "__main__":
    main()
