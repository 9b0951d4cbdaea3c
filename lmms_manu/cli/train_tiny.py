"""`lmms-manu train-tiny`: trains the embedded tiny model again, and says what it reaches.

Training is seeded, but floating point differs between processors: another machine gives a model that is as good, not
the same bytes.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from lmms_manu import embedded
from lmms_manu.errors import DataError
from lmms_manu.files import refuse_unwritable
from lmms_manu.mllmu.names import RATIOS
from lmms_manu.mllmu.source import DatasetSource
from lmms_manu.synthetic import make_dataset, make_population


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", type=Path, required=True, help="the folder to write the checkpoint to; must not exist"
    )
    parser.add_argument("--people", type=int, default=embedded.PEOPLE, help=f"people to learn ({embedded.PEOPLE})")
    parser.add_argument("--data-seed", type=int, default=embedded.SEED, help="seed of the dataset (0)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the training (0)")
    parser.add_argument("--no-exam", action="store_true", help="leave out the exam under the released protocol")


def run(arguments: argparse.Namespace) -> int:
    if arguments.output.exists():
        raise DataError(f"The folder {arguments.output} exists: name another one.")
    refuse_unwritable("output", arguments.output)
    # Imported here so that a mistyped option is answered at once: torch takes seconds.
    from lmms_manu.synthetic.exam import examine
    from lmms_manu.synthetic.subject import SubjectSize
    from lmms_manu.synthetic.training import Training, train

    size = SubjectSize(picture=embedded.PICTURE_SIZE)
    training = Training(seed=arguments.seed)
    population = make_population(arguments.people, arguments.data_seed)
    model, processor = train(population, arguments.data_seed, size, training, report=_say)
    model.save_pretrained(arguments.output)
    processor.save_pretrained(arguments.output)
    _say(f"wrote {arguments.output}: {model.num_parameters():,} parameters")
    if arguments.no_exam:
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = make_dataset(Path(scratch) / "dataset", arguments.people, arguments.data_seed, size.picture)
        for mark in examine(model, processor, DatasetSource.resolve(str(folder)), ratio=RATIOS[1]):
            _say(str(mark))
    return 0


def _say(line: str) -> None:
    print(line, flush=True)
