"""Fictitious people: a dataset in MLLMU-Bench's layout, and tiny models that know them or do not."""

from lmms_manu.benchmarks.mllmu.synthetic.dataset import make_dataset
from lmms_manu.benchmarks.mllmu.synthetic.population import Population, make_population

__all__ = ["Population", "make_dataset", "make_population"]
