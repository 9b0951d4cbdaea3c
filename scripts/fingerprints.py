"""Fingerprints of what the package computes: masks, prompts, scores and answers of a tiny model and its data.

A change that should change no number leaves tests/fingerprints.json as it is; one that should renews exactly the
entries that it means, and says why.

    python scripts/fingerprints.py --check              compare, and name what differs
    python scripts/fingerprints.py --write [PATTERN]    renew the entries whose names match, all of them if left out

A name is such as `mask/paper/2`, `prompt/released/mllmu_forget_10_cloze_text`, `score/...` or `answer/...`.
"""

from __future__ import annotations

import argparse
import fnmatch
import hashlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent.parent / "tests" / "fingerprints.json"
SUBJECT = Path(__file__).parent.parent / "tests" / "fingerprinted" / "model"
"""A tiny model that stays as it is, whatever models the package ships."""

RATES = (2, 10)
RECIPES: Mapping[str, Mapping[str, str]] = {
    **{recipe: {"recipe": recipe} for recipe in ("paper", "released", "ratio", "invariant", "random")},
    "random-like-paper": {"recipe": "random", "random_like": "paper"},
}
# Everything that a mask depends on is said, so that no default decides.
_EXPLICIT = {
    "method": "manu",
    "forget_ratio": 10,
    "retain_samples": "match",
    "data_seed": 0,
    "prompt": "released",
    "scope": "auto",
    "towers": "both",
    "layers": "all",
    "steps": 1,
    **dict.fromkeys(("w_abs", "w_freq", "w_var", "w_rms"), 1),
    "seed": 0,
    "prune_mode": "zero",
    "tokens": "all",
    "tau": 0.1,
    "statistics_batch_size": 4,
    "dtype": "float32",
    "device": "cpu",
}

SCORED_PER_LEAF = 20
ANSWERED_PER_LEAF = 8
ANSWERED = "mllmu_10"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--check", action="store_true", help="compare with the file; the exit code says whether they agree"
    )
    what.add_argument("--write", nargs="?", const="*", metavar="PATTERN", help="renew the entries that match")
    arguments = parser.parse_args(argv)
    known: dict[str, str] = json.loads(FILE.read_text()) if FILE.is_file() else {}
    found = fingerprints()
    different = sorted(name for name in known.keys() | found.keys() if known.get(name) != found.get(name))
    for name in different:
        print(f"{name}: {known.get(name, 'new')} -> {found.get(name, 'gone')}")
    if arguments.check:
        print(f"{len(found)} fingerprints, {len(different)} differ from {FILE.name}")
        return 1 if different else 0
    for name in fnmatch.filter(different, arguments.write):
        known.pop(name, None)
        known |= {name: found[name]} if name in found else {}
    FILE.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return 0


def fingerprints() -> dict[str, str]:
    """All fingerprints by name, computed in a folder of their own: no cache and no variable of the user counts."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in [name for name in os.environ if name.startswith(("LMMS_MANU_", "OPENAI_"))]:
            del os.environ[name]
        os.environ |= {
            "LMMS_MANU_DATASET": str(Path(scratch, "data")),
            "LMMS_MANU_CACHE": str(Path(scratch, "cache")),
            "HF_DATASETS_CACHE": str(Path(scratch, "datasets")),
            "HF_HUB_OFFLINE": "1",
        }
        import torch  # imported once the variables that it and the libraries above it read are set

        from lmms_manu.benchmarks.mllmu.synthetic import make_dataset

        torch.set_num_threads(1)
        make_dataset(Path(scratch, "data"), people=120, seed=0, picture_size=48)
        return {**dict(_masks(Path(scratch))), **dict(_prompts_and_scores()), **dict(_answers())}


def _masks(scratch: Path) -> Iterator[tuple[str, str]]:
    from lmms_manu.cli.main import main as command
    from lmms_manu.editing.mask import NeuronMask

    for (name, recipe), rate in itertools.product(RECIPES.items(), RATES):
        out = scratch / f"{name}-{rate}"
        said = {"pretrained": SUBJECT, "prune_rate": rate, **recipe, **_EXPLICIT, "out": out}
        with redirect_stdout(StringIO()):
            code = command(["prune", *(f"--{option}={value}" for option, value in said.items())])
        if code:
            raise SystemExit(f"lmms-manu prune of {name} at {rate} % ended with {code}")
        yield f"mask/{name}/{rate}", NeuronMask.load(str(out)).fingerprint[:32]


def _prompts_and_scores() -> Iterator[tuple[str, str]]:
    from transformers import AutoProcessor

    from lmms_manu.benchmarks.mllmu.questions import LEAVES
    from lmms_manu.tasks.mllmu import utils

    processor = AutoProcessor.from_pretrained(SUBJECT)
    for leaf in sorted(LEAVES):
        documents = list(getattr(utils, f"questions_of_{leaf}")(None))
        yield f"prompt/released/{leaf}", _digest(map(utils.doc_to_text, documents))
        yield f"prompt/chat/{leaf}", _digest(_chat_text(processor, utils.doc_to_messages(one)) for one in documents)
        yield f"score/{leaf}", _digest(_scores(utils.process_results, documents[:SCORED_PER_LEAF]))


def _chat_text(processor: Any, messages: Sequence[Mapping[str, Any]]) -> str:
    def without_pictures(part: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"type": "image"} if part["type"] == "image" else part

    turns = [{**turn, "content": [without_pictures(part) for part in turn["content"]]} for turn in messages]
    return str(processor.apply_chat_template(turns, add_generation_prompt=True))


def _scores(score: Callable[..., Mapping[str, Any]], documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The numbers that answers of several kinds get: right, said at length, somebody else's, cut off, none."""
    for document, other in zip(documents, [*documents[1:], documents[0]], strict=True):
        right = str(document["answer"])
        for answer in (right, f" The answer is {right.lower()}.", str(other["answer"]), right[: len(right) // 2], ""):
            values = score(document, [answer])
            # The same number once more, as the harness's comparison of two models wants it.
            numbers = {
                name: value
                for name, value in values.items()
                if isinstance(value, int | float) and name != "answer_score"
            }
            yield json.dumps({**numbers, "points": values["scored"]["points"]}, sort_keys=True)


def _answers() -> Iterator[tuple[str, str]]:
    """What the unedited model answers to the first questions of each leaf, through the harness."""
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    from lmms_manu.plugins.registration import tasks_folder

    results = simple_evaluate(
        model="manu_pruned",
        model_args=f"pretrained={SUBJECT},prune_rate=0,batch_size=8,device=cpu,dtype=float32",
        tasks=[ANSWERED],
        task_manager=TaskManager(include_path=tasks_folder(), include_defaults=False),
        limit=ANSWERED_PER_LEAF,
        log_samples=True,
        bootstrap_iters=0,
    )
    for leaf, samples in sorted(results["samples"].items()):
        ordered = sorted(samples, key=lambda sample: int(sample["doc_id"]))
        yield f"answer/{leaf}", _digest(str(sample["filtered_resps"]) for sample in ordered)


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text)} {text}\n".encode())
    return digest.hexdigest()[:32]


if __name__ == "__main__":
    sys.exit(main())
