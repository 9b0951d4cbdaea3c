"""Fictitious people: a dataset in MLLMU-Bench's layout, and a tiny model that knows it."""

from lmms_manu.synthetic.dataset import make_dataset
from lmms_manu.synthetic.people import Population, make_population

__all__ = ["Population", "make_dataset", "make_population"]
