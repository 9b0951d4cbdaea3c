"""Makes a dataset of fictitious people in the layout of MLLMU-Bench or of CLEAR."""

from __future__ import annotations

import argparse
from pathlib import Path

from lmms_manu.benchmarks.clear.synthetic import make_clear
from lmms_manu.benchmarks.mllmu.synthetic.dataset import LARGEST_PICTURE, SMALLEST_PICTURE, make_dataset
from lmms_manu.benchmarks.mllmu.synthetic.population import LARGEST_NUMBER, SMALLEST_NUMBER
from lmms_manu.errors import SettingError
from lmms_manu.files import refuse_unwritable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--layout", choices=("mllmu", "clear"), default="mllmu", help="whose configurations and columns it has (mllmu)"
    )
    parser.add_argument(
        "--people",
        type=int,
        default=120,
        help=f"fictitious people, {SMALLEST_NUMBER} to {LARGEST_NUMBER}, celebrities not counted (120)",
    )
    parser.add_argument("--output", type=Path, required=True, help="the folder to make")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything that is drawn (0)")
    parser.add_argument(
        "--picture-size",
        type=int,
        default=48,
        help=f"width and height of the pictures, {SMALLEST_PICTURE} to {LARGEST_PICTURE} (48); many people in small "
        "pictures look alike, which is refused; 400 makes files of 0.48 MB, as in the real dataset",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a dataset that this command wrote")


def run(arguments: argparse.Namespace) -> int:
    refuse_unwritable("output", arguments.output, arguments.output.parent)
    drawn = {"people": arguments.people, "seed": arguments.seed, "picture_size": arguments.picture_size}
    if arguments.layout == "clear":
        if arguments.overwrite:
            raise SettingError("overwrite goes with layout=mllmu alone: name a new folder, or remove the old one.")
        folder = make_clear(arguments.output, **drawn)
    else:
        folder = make_dataset(
            arguments.output,
            **drawn,
            overwrite=arguments.overwrite,
            progress=lambda config: print(f"writing {config}", flush=True),
        )
    print(f"made {folder}: {arguments.people} people, seed {arguments.seed}")
    return 0
