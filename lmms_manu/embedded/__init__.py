"""The embedded default: tiny LLaVAs that ship with the package, and the dataset of the people whom they know or do not.

`base` has never met the people of the dataset, `vanilla` knows all of them, `gold_10` all but the tenth to forget. How
they were trained and what they reach is told in this folder's README.md.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lmms_manu.benchmarks.mllmu.synthetic import make_dataset
from lmms_manu.benchmarks.stand_ins import STAND_INS, write_stand_ins
from lmms_manu.errors import DataError, one_of

PEOPLE = 200
SEED = 0
PICTURE_SIZE = 48
FORGET_RATIO = 10

BASE_NAME = PROCESSOR_NAME = "llava-hf/llava-1.5-7b-hf"
WEIGHTS_NAME = "MLLMMU/LLaVA_Vanilla"
GOLD_NAME = f"MLLMMU/LLaVA_Gold_{FORGET_RATIO}"
DATASET_NAME = "MLLMMU/MLLMU-Bench"

MODELS = {"base": BASE_NAME, "vanilla": WEIGHTS_NAME, f"gold_{FORGET_RATIO}": GOLD_NAME}
"""The embedded models, and the names that `lay_out` gives them."""

_WEIGHT_FILES = ("config.json", "generation_config.json", "model.safetensors")


def model_folder(name: str = "vanilla") -> Path:
    """An embedded checkpoint with its processor, as one folder of the installed package.

    Args:
        name: one of `MODELS`.

    Raises:
        SettingError: it is none of them.
    """
    if name not in MODELS:
        raise one_of("embedded model", name, MODELS)
    return Path(__file__).parent / name


def make_embedded_dataset(out: str | os.PathLike[str]) -> Path:
    """Makes the dataset that the embedded models are about; `out` must not exist."""
    return make_dataset(out, people=PEOPLE, seed=SEED, picture_size=PICTURE_SIZE)


def lay_out(folder: str | os.PathLike[str], models: str | os.PathLike[str] | None = None) -> Path:
    """Lays the embedded models and data out under the names that the harness asks for by default.

    As with the released models, the folders of the fine-tuned ones hold no processor; that comes from base's folder.
    The stock benchmarks have small stand-ins there.

    Args:
        folder: where to make the folders of `MODELS`, of `MLLMMU/MLLMU-Bench` and of the stand-ins.
        models: a folder with other models of these names; those of the package if None.

    Returns:
        The folder.

    Raises:
        DataError: one of them exists; then nothing is written.
    """
    root = Path(folder)
    for name in (*MODELS.values(), DATASET_NAME, *(stand_in.folder for stand_in in STAND_INS)):
        if (root / name).exists():
            raise DataError(f"{root / name} exists: name another folder, or move it away.")
    for model, name in MODELS.items():
        (root / name).mkdir(parents=True)
        source = model_folder(model) if models is None else Path(models, model)
        for file in sorted(source.iterdir()):
            if name == PROCESSOR_NAME or file.name in _WEIGHT_FILES:
                shutil.copyfile(file, root / name / file.name)
    make_embedded_dataset(root / DATASET_NAME)
    write_stand_ins(root)
    return root
