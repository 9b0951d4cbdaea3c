"""The embedded default: a tiny LLaVA that ships with the package, and the dataset that it was trained on.

How it was trained and what it reaches is told in this folder's README.md.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lmms_manu.errors import DataError
from lmms_manu.synthetic import make_dataset

PEOPLE = 120
SEED = 0
PICTURE_SIZE = 48

WEIGHTS_NAME = "MLLMMU/LLaVA_Vanilla"
PROCESSOR_NAME = "llava-hf/llava-1.5-7b-hf"
DATASET_NAME = "MLLMMU/MLLMU-Bench"

_WEIGHT_FILES = ("config.json", "generation_config.json", "model.safetensors")


def model_folder() -> Path:
    """The embedded checkpoint with its processor, as one folder of the installed package."""
    return Path(__file__).parent / "model"


def make_embedded_dataset(out: str | os.PathLike[str]) -> Path:
    """Makes the dataset that the embedded model knows; `out` must not exist."""
    return make_dataset(out, people=PEOPLE, seed=SEED, picture_size=PICTURE_SIZE)


def lay_out(folder: str | os.PathLike[str]) -> Path:
    """Lays the embedded model and data out under the names that the harness asks for by default.

    As with the released models, the weights' folder holds no processor; that comes from the base model's folder.

    Args:
        folder: where to make `MLLMMU/LLaVA_Vanilla`, `llava-hf/llava-1.5-7b-hf` and `MLLMMU/MLLMU-Bench`.

    Returns:
        The folder.

    Raises:
        DataError: one of the three exists; then nothing is written.
    """
    root = Path(folder)
    for name in (WEIGHTS_NAME, PROCESSOR_NAME, DATASET_NAME):
        if (root / name).exists():
            raise DataError(f"{root / name} exists: name another folder, or move it away.")
    (root / WEIGHTS_NAME).mkdir(parents=True)
    (root / PROCESSOR_NAME).mkdir(parents=True)
    for file in sorted(model_folder().iterdir()):
        if file.name in _WEIGHT_FILES:
            shutil.copyfile(file, root / WEIGHTS_NAME / file.name)
        if file.suffix != ".safetensors":
            shutil.copyfile(file, root / PROCESSOR_NAME / file.name)
    make_embedded_dataset(root / DATASET_NAME)
    return root
