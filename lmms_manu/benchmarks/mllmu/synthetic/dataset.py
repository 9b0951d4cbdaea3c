"""A dataset of fictitious people in MLLMU-Bench's exact layout."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lmms_manu.benchmarks.mllmu.names import CELEBRITY_SET, CONFIGS, FINE_TUNING_SET, FULL_SET, TEST_SET
from lmms_manu.benchmarks.mllmu.schema import FEATURES
from lmms_manu.benchmarks.mllmu.synthetic.drawing import UPRIGHT, draw, draw_pose
from lmms_manu.benchmarks.mllmu.synthetic.png import encode_png
from lmms_manu.benchmarks.mllmu.synthetic.population import Person, Population, make_population
from lmms_manu.benchmarks.mllmu.synthetic.random_stream import RandomStream
from lmms_manu.benchmarks.mllmu.synthetic.rows import fine_tuning_row, profile_row
from lmms_manu.benchmarks.parquet_rows import write_rows
from lmms_manu.errors import DataError

SMALLEST_PICTURE, LARGEST_PICTURE = 8, 4096

_POSES = 3
_PARQUET = "train-00000-of-00001.parquet"
_README = "README.md"
_MADE_BY = "Made by `lmms-manu make-dataset"


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """Draws the pictures of people, as the Image columns hold them."""

    seed: int
    size: int

    def upright(self, person: Person) -> dict[str, Any]:
        return {"bytes": encode_png(draw(person, UPRIGHT, self.size)), "path": f"{person.id}.png"}

    def posed(self, person: Person) -> list[dict[str, Any]]:
        draws = RandomStream(self.seed, "poses", person.id)
        return [
            {"bytes": encode_png(draw(person, draw_pose(draws), self.size)), "path": f"{person.id}_{number}.png"}
            for number in range(_POSES)
        ]


def make_dataset(
    out: str | os.PathLike[str],
    people: int = 120,
    seed: int = 0,
    picture_size: int = 48,
    overwrite: bool = False,
    progress: Callable[[str], None] = lambda config: None,
) -> Path:
    """Writes a dataset that `datasets.load_dataset(out, config)` and this package read like the real one.

    The rows are the same to the byte on every machine; so are the files with the same version of pyarrow, which
    writes its version into them.

    Args:
        out: the folder to make.
        people: number of fictitious people; celebrities are added in MLLMU-Bench's ratio of 153 to 500.
        seed: seed of everything that is drawn.
        picture_size: width and height of the pictures. They are stored uncompressed: 400 gives 0.48 MB each, the size
            of the real ones.
        overwrite: whether `out` may be an empty folder or a dataset that this function wrote; it is then replaced as a
            whole.
        progress: is called with the name of each configuration before it is written.

    Returns:
        The folder.

    Raises:
        DataError: the folder exists, or holds something else than is to be replaced, or a number is out of range.
    """
    target = Path(out)
    if os.path.lexists(target):
        if not overwrite:
            raise DataError(f"The folder {target} exists: name another one, or replace it with --overwrite.")
        _refuse_foreign(target)
    if not SMALLEST_PICTURE <= picture_size <= LARGEST_PICTURE:
        raise DataError(
            f"picture_size={picture_size} is out of range: allowed is {SMALLEST_PICTURE} to {LARGEST_PICTURE}."
        )
    population = make_population(people, seed)
    pictures = _Pictures(seed, picture_size)
    _check_pictures(population, pictures)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as scratch:
        folder = Path(scratch) / "dataset"
        for config in CONFIGS:
            progress(config)
            write_rows(folder / config / _PARQUET, FEATURES[config], _rows(config, population, pictures))
        (folder / _README).write_text(_readme(people, seed), encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return target


def _refuse_foreign(folder: Path) -> None:
    """Refuses to remove what `make_dataset` has not written.

    Raises:
        DataError: `folder` is none, or the one that the process is in, or holds another file or folder.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise DataError(f"{folder} is no folder that make-dataset wrote: name another one; nothing is overwritten.")
    if Path.cwd().is_relative_to(folder.resolve()):
        raise DataError(f"You are in the folder {folder}, which would be removed: name another one, or leave it.")
    readme, ours = folder / _README, set()
    # A copy of MLLMU-Bench has the same names, but another README.md.
    if readme.is_file() and _MADE_BY in readme.read_text(encoding="utf-8", errors="replace"):
        ours = {readme, *(folder / config for config in CONFIGS), *(folder / config / _PARQUET for config in CONFIGS)}
    for path in folder.rglob("*"):
        if path not in ours or path.is_symlink():
            raise DataError(
                f"The folder {folder} holds {str(path.relative_to(folder))!r}, which make-dataset did not write: name "
                "another folder, or move that away; nothing is overwritten."
            )


def members(config: str, population: Population) -> Sequence[Person]:
    """The people of a configuration, in the order of its rows."""
    if config == CELEBRITY_SET:
        return population.celebrities
    kind, _, share = config.partition("_")
    if kind == "forget":
        return [person for person in population.people if person.id in population.forget[int(share)]]
    if kind == "retain":
        return [person for person in population.people if person.id not in population.forget[100 - int(share)]]
    return population.people


def _rows(config: str, population: Population, pictures: _Pictures) -> Iterator[dict[str, Any]]:
    seed = pictures.seed
    for person in members(config, population):
        if config == FINE_TUNING_SET:
            yield {"image": pictures.upright(person), **fine_tuning_row(person, seed)}
        elif config == TEST_SET:
            yield {"images": pictures.posed(person), **profile_row(person, seed, is_test=True)}
        else:
            yield {"image": pictures.upright(person), **profile_row(person, seed)}


def _check_pictures(population: Population, pictures: _Pictures) -> None:
    """Raises unless every picture of the dataset is unlike all others: two equal ones cap what can be learnt."""
    owners: dict[bytes, str] = {}
    for person in (*population.people, *population.celebrities):
        for picture in (pictures.upright(person), *pictures.posed(person)):
            digest = hashlib.sha256(picture["bytes"]).digest()
            if digest in owners:
                raise DataError(
                    f"The pictures {owners[digest]} and {picture['path']} are equal at picture_size={pictures.size}: "
                    "choose a larger size."
                )
            owners[digest] = picture["path"]


def _readme(people: int, seed: int) -> str:
    configs = "".join(
        f"- config_name: {config}\n  data_files:\n  - split: train\n    path: {config}/train-*\n"
        + ("  default: true\n" if config == FULL_SET else "")
        for config in CONFIGS
    )
    return (
        f"---\nconfigs:\n{configs}---\n\n# Fictitious people in the layout of MLLMU-Bench\n\n"
        f"{_MADE_BY} --people {people} --seed {seed}`. Nobody in it exists, the celebrities "
        "included; every picture is drawn by a program.\n"
    )
