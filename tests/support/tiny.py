"""Small datasets for tests."""

from __future__ import annotations

from pathlib import Path

from lmms_manu.benchmarks.mllmu import synthetic


def make_dataset(folder: Path, people: int = 20, seed: int = 0, picture_size: int = 48) -> Path:
    """A dataset of fictitious people at `folder`, which must not exist; about 0.2 s for 20 people."""
    return synthetic.make_dataset(folder, people=people, seed=seed, picture_size=picture_size)
