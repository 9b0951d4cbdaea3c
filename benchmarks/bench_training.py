"""Training against a bare transformers.Trainer on the same batches: steps per second, and peak memory by method.

    python benchmarks/bench_training.py [--hidden 768] [--layers 16] [--samples 24] [--rounds 3] [--clock cpu]

A LLaVA of random weights (about 129 M by default) gets LoRA adapters and learns answers, with pictures and as text. The
bare Trainer is given the same batches, already encoded, with the labels that mark the same tokens, and computes the
model's own loss over all positions; putting the adapters in counts for both. Both ways are gone through in every round,
so that a busy machine slows both; the medians count. On a machine that has other work, `OMP_NUM_THREADS=1 ... --clock
cpu` counts the process's own seconds. Peak memory is that of a process of its own for each method, above the loaded
model, of what is in use: the allocator gives back at once what is freed, which left to itself keeps half as much again.
Ends with 1 if fine-tuning makes less than 0.95 of the bare Trainer's steps per second, or if NPO or KL takes more than
1.1 times the memory of fine-tuning.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import peft
import torch
from random_llava import rendered_examples, save_random_llava
from transformers import Trainer, TrainingArguments

from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import Checkpoint, load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.training import terms
from lmms_manu.training.examples import Batch, Examples
from lmms_manu.training.objective import Terms, Weighted
from lmms_manu.training.order import order
from lmms_manu.training.settings import TrainingSettings
from lmms_manu.training.train import TrainingTask, train
from lmms_manu.training.trained_weights import adapted_layers

SPEED, MEMORY = 0.95, 1.1
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
FINETUNE = Terms(Weighted(terms.CrossEntropy()))
METHODS = {
    "finetune": FINETUNE,
    "npo": Terms(Weighted(terms.NpoTerm(0.9))),
    "kl": Terms(Weighted(terms.Ascent()), Weighted(terms.Closeness())),
}


def labelled(batch: Batch) -> dict[str, Any]:
    """A batch as the model itself takes it for training."""
    labels = torch.full_like(batch.inputs["input_ids"], -100)
    labels[batch.rows, batch.columns + 1] = batch.tokens
    return {**batch.inputs, "labels": labels}


def bare(
    checkpoint: Checkpoint, learn: dict[str, Any], settings: TrainingSettings, clock: Callable[[], float]
) -> float:
    """Steps per second of transformers.Trainer alone."""
    examples = Examples(checkpoint, PromptEncoder(checkpoint), learn, "answer", "samples")
    turns = order(examples.items, {}, batch_size=settings.train_batch_size, epochs=1, seed=0)
    batches = [labelled(examples.batch(turn.modality, turn.learn)) for turn in turns]
    started = clock()
    config = peft.LoraConfig(
        r=settings.lora_rank,
        lora_alpha=int(settings.lora_alpha),
        lora_dropout=settings.lora_dropout,
        target_modules=adapted_layers(checkpoint.model, settings),
    )
    model = peft.get_peft_model(checkpoint.model, config)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=1,
            learning_rate=settings.learning_rate,
            use_cpu=checkpoint.device.type == "cpu",
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            train_sampling_strategy="sequential",
            remove_unused_columns=False,
        )
        trainer = Trainer(model, arguments, train_dataset=batches, data_collator=lambda picked: picked[0])
        trainer.train()
        seconds = clock() - started
    model.unload()
    return len(batches) / seconds


def own(
    checkpoint: Checkpoint,
    minimised: Terms,
    learn: dict[str, Any],
    settings: TrainingSettings,
    clock: Callable[[], float],
) -> float:
    """Steps per second of this package's training, from rendered texts to the change."""
    started = clock()
    trained = train(checkpoint, TrainingTask(learn, minimised, "benchmark", learn), settings)
    return trained.steps / (clock() - started)


def memory(entry: str) -> int:
    """The memory of this process in bytes: at present (`VmRSS`), or at its peak (`VmHWM`); on Linux."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{entry}:"))


def measure_memory(folder: Path, method: str, samples: int, batch: int) -> int:
    """The peak memory of a method in a process of its own, above that of the loaded model."""
    command = [sys.executable, __file__, "--memory-of", method, "--model", str(folder)]
    command += ["--samples", str(samples), "--batch", str(batch)]
    # A threshold that is set is one that malloc does not raise: what is freed leaves the process.
    variables = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    return int(done.stdout.split()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=768, help="features of the language model")
    parser.add_argument("--layers", type=int, default=16, help="layers of the language model")
    parser.add_argument("--samples", type=int, default=24, help="samples of each modality")
    parser.add_argument("--batch", type=int, default=2, help="samples in a step")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu on a busy machine")
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    learn: dict[str, Any] = {
        "multimodal": rendered_examples(arguments.samples),
        "text": rendered_examples(arguments.samples, pictured=False),
    }
    settings = TrainingSettings(train_batch_size=arguments.batch, resume_every=0, learning_rate=1e-4)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.model or save_random_llava(
            Path(scratch) / "model", hidden=arguments.hidden, layers=arguments.layers
        )
        checkpoint = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))
        if arguments.memory_of:
            loaded = memory("VmRSS")
            # From here on the peak counts anew; that of loading may be higher.
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            own(checkpoint, METHODS[arguments.memory_of], learn, settings, time.perf_counter)
            print(memory("VmHWM") - loaded)
            return 0
        print(f"{checkpoint.model.num_parameters() / 1e6:.0f} M parameters, {torch.get_num_threads()} threads")
        clock, ratios = CLOCKS[arguments.clock], []
        for _ in range(arguments.rounds):
            alone = bare(checkpoint, learn, settings, clock)
            ours = own(checkpoint, FINETUNE, learn, settings, clock)
            ratios.append(ours / alone)
            print(f"bare Trainer {alone:.3f} steps/s, fine-tuning {ours:.3f} steps/s, ratio {ours / alone:.3f}")
        peaks = {name: measure_memory(folder, name, 4, arguments.batch) for name in METHODS}
    speed = statistics.median(ratios)
    shares = {name: peaks[name] / peaks["finetune"] for name in METHODS}
    print(f"steps per second, of a bare Trainer's: {speed:.3f} (at least {SPEED})")
    for name, share in shares.items():
        print(f"peak memory of {name}: {peaks[name] / 2**20:.0f} MiB, {share:.2f} of fine-tuning's (at most {MEMORY})")
    return int(speed < SPEED or max(shares.values()) > MEMORY)


if __name__ == "__main__":
    sys.exit(main())
