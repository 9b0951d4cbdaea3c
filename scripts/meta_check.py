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
import shutil
from pathlib import Path

from lmms_manu import embedded
from lmms_manu.benchmarks.mllmu.synthetic import three
from lmms_manu.benchmarks.mllmu.synthetic.phases import Phase, Training
from lmms_manu.benchmarks.mllmu.synthetic.population import make_population
from lmms_manu.benchmarks.mllmu.synthetic.training import train

SEEDS = 12
RATIO = 5
OTHERS = 20
STEPS = (60, 90, 120)
"""How long a seed's two models are trained, in turn: the shorter ones know the people less well."""

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", type=Path, required=True, help="folder of the models; those that are there are kept"
    )
    parser.add_argument("--train", action="store_true", help="train the models and stop")
    arguments = parser.parse_args()
    make_models(arguments.models)


if __name__ == "__main__":
    main()
