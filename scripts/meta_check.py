"""Can the metrics tell models that know people from models that never met them? The AUC of each, over small models.

From the embedded base model, which has met nobody of the dataset, a model is fine-tuned for each seed on the ten people
to forget at 5 % and twenty others, and one on the twenty alone, for as many steps: models that know and models that do
not, some of them barely. Each metric is then measured on the ten. Its AUC is the chance that it puts a model that knows
above one that does not; .5 is a coin. Base itself, and what the metrics are, take no part in the training.

    python scripts/meta_check.py --models FOLDER            trains what is missing, measures, prints a table
    python scripts/meta_check.py --models FOLDER --train    trains alone
"""

from __future__ import annotations

import argparse
import functools
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmms_manu import embedded
from lmms_manu import likelihood_metrics as metrics
from lmms_manu.answering import AnsweringEngine, Generation, Likelihood, LikelihoodScorer, PromptRequest
from lmms_manu.answering.requests import PictureSource, written
from lmms_manu.benchmarks.mllmu import DatasetSource, Leaf, ProtocolSettings, likelihoods, prompt_building, results
from lmms_manu.benchmarks.mllmu.likelihoods import load_likelihoods
from lmms_manu.benchmarks.mllmu.names import LIKELIHOOD
from lmms_manu.benchmarks.mllmu.prompts import Prompt
from lmms_manu.benchmarks.mllmu.synthetic import three
from lmms_manu.benchmarks.mllmu.synthetic.phases import Phase, Training
from lmms_manu.benchmarks.mllmu.synthetic.population import make_population
from lmms_manu.benchmarks.mllmu.synthetic.training import train
from lmms_manu.files import write_json
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.models.loading import load_checkpoint
from lmms_manu.models.settings import ModelSettings
from lmms_manu.names import MODALITIES

SEEDS = 12
RATIO = 5
OTHERS = 20
STEPS = (15, 30, 60)
"""How long a seed's two models are trained, in turn: the shorter ones know the people less well."""

LABELS = {
    "classification_accuracy": "Classification",
    "cloze_accuracy": "Cloze",
    "rouge_l": "ROUGE-L",
    "rouge_1": "ROUGE-1",
    "bleu": "BLEU",
    "answer_probability": "Answer probability",
    "cloze_probability": "Cloze probability",
    "truth_ratio": "Truth ratio (closer to 1)",
    "prob_mean": "Probability of the right option",
    "exact_memorisation": "Exact memorisation",
    "extraction_strength": "Extraction strength",
    "ks_statistic": "KS statistic of truth ratios",
    "ks_p": "KS p over questions",
    "ks_p_people": "KS p over people",
    "loss": "Loss",
    "zlib": "Loss / zlib",
    "min_k": "Min-k (.4)",
    "min_k_plus_plus": "Min-k++ (.4)",
}

BATCH_TOKENS = 2048
POSES = 5


def model_folder(models: Path, seed: int, *, knows: bool) -> Path:
    """Where the model of a seed is kept that knows the people, or that does not."""
    return models / f"{'knows' if knows else 'never_met'}_{seed}"


def make_models(models: Path) -> None:
    """Trains the models that are missing in a folder, one after the other."""
    population = make_population(embedded.PEOPLE, embedded.SEED)
    forget = [person for person in population.people if person.id in population.forget[RATIO]]
    others = [person for person in population.people if person.id not in population.forget[15]][:OTHERS]
    for seed in range(1, SEEDS + 1):
        steps = STEPS[seed % len(STEPS)]
        phase = Phase(steps, 4e-3, three.FINE_TUNING[0].shares, 0.6, (60, 240, 420), 1e-2)
        training = Training(batch_tokens=BATCH_TOKENS, poses=POSES, seed=seed)
        for knows in (True, False):
            folder = model_folder(models, seed, knows=knows)
            if folder.exists():
                continue
            model, processor = three.load(embedded.model_folder("base"))
            train(model, processor, [*(forget if knows else ()), *others], embedded.SEED, [phase], training)
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            model.save_pretrained(partial)
            processor.save_pretrained(partial)
            partial.rename(folder)
            print(f"trained {folder.name}: {steps} steps", flush=True)


def measure(folder: Path, source: DatasetSource) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The scores of a model on the people to forget, means over both modalities, and its log truth ratios by person."""
    checkpoint = load_checkpoint(ModelSettings(pretrained=str(folder), device="cpu"))
    encoder = PromptEncoder(checkpoint)
    engine = AnsweringEngine(checkpoint, encoder)
    scorer = LikelihoodScorer(checkpoint, encoder, with_spread=True)
    found: dict[str, dict[str, list[float]]] = {}
    ratios: dict[str, list[float]] = {}
    for modality in MODALITIES:
        own: dict[str, list[float]] = {}
        leaf = Leaf("forget", RATIO, LIKELIHOOD, modality)
        documents = load_likelihoods(leaf, source, ProtocolSettings()).documents.to_list()
        asked = [_request(encoder, prompt_building.pictures(document).prompt, document) for document in documents]
        answers = [answer.text for answer in engine.answer(asked)]
        scored = [_request(encoder, likelihoods.pictures(document).prompt, document) for document in documents]
        likely = scorer.score([request.scored() for request in scored])
        for document, answer, one in zip(documents, answers, likely, strict=True):
            given = {**results.score_answer(document, answer), **likelihoods.score(document, written(one))}
            if given["scored"]["log_truth_ratio"] is not None:
                ratios.setdefault(document["person"], []).append(given["scored"]["log_truth_ratio"])
            if "rouge_l" in given:
                given |= _membership(one[0], document["answer"])
            for name in sorted(given.keys() & LABELS.keys()):
                own.setdefault(name, []).append(float(given[name]))
        found[modality] = own
    means = {name: float(np.mean([np.mean(found[each][name]) for each in MODALITIES])) for name in found["text"]}
    return means, ratios


def _request(encoder: PromptEncoder, prompt: Prompt, document: Mapping[str, Any]) -> PromptRequest:
    generation = Generation(max_new_tokens=30, first_character_only=prompt.first_character_only)
    pictures: PictureSource = functools.partial(list, prompt.pictures)
    text = encoder.released_text(prompt.released)
    return PromptRequest(text, pictures, generation, document["leaf"], prompt.label, continuations=prompt.continuations)


def _membership(one: Likelihood, answer: str) -> dict[str, float]:
    """What membership attacks rank by, the other way round: larger is more like a member."""
    return {
        "loss": -metrics.loss(one.log_probs),
        "zlib": -metrics.zlib_ratio(one.log_probs, answer),
        "min_k": -metrics.min_k(one.log_probs, 0.4),
        "min_k_plus_plus": -metrics.min_k_plus_plus(one.log_probs, one.means, one.variances, 0.4),
    }


def check(models: Path) -> list[dict[str, Any]]:
    """The AUC of each metric, with what both kinds of models score."""
    with tempfile.TemporaryDirectory() as scratch:
        source = DatasetSource.resolve(str(embedded.make_embedded_dataset(Path(scratch) / "data")))
        measured = {
            (knows, seed): measure(model_folder(models, seed, knows=knows), source)
            for knows in (True, False)
            for seed in range(1, SEEDS + 1)
        }
    scores: dict[str, dict[bool, list[float]]] = {name: {True: [], False: []} for name in LABELS}
    for (knows, seed), (means, ratios) in measured.items():
        # Gold is a model of the next seed that has not met the people either.
        gold = measured[False, seed % SEEDS + 1][1]
        test = metrics.forget_quality(ratios, gold)
        means |= {"ks_p": -test.p_questions, "ks_p_people": -test.p_people, "ks_statistic": test.statistic}
        # High where little is known, as it is defined.
        means["truth_ratio"] = -means["truth_ratio"]
        for name in LABELS:
            scores[name][knows].append(means[name])
    rows = [
        {"metric": name, "auc": metrics.auc(own[True], own[False]), "knows": own[True], "never_met": own[False]}
        for name, own in scores.items()
    ]
    return sorted(rows, key=lambda row: -row["auc"])


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The check as a table in Markdown."""
    lines = ["| metric | AUC | models that know | models that do not |", "|---|---|---|---|"]
    for row in rows:
        spans = [
            f"{min(values):.3g} to {max(values):.3g}"
            for values in (sorted(map(abs, row[kind])) for kind in ("knows", "never_met"))
        ]
        lines.append(f"| {LABELS[row['metric']]} | {row['auc']:.3f} | {spans[0]} | {spans[1]} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, required=True, help="folder of the models; they are kept")
    parser.add_argument("--train", action="store_true", help="train the models and stop")
    arguments = parser.parse_args()
    make_models(arguments.models)
    if arguments.train:
        return
    rows = check(arguments.models)
    write_json(arguments.models / "meta_check.json", rows)
    print(table(rows))


if __name__ == "__main__":
    main()
