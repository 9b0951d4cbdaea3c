"""What each layer of a model still knows of people: the file that `lmms-manu residual` writes and a report reads."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK
from lmms_manu.errors import DataError
from lmms_manu.files import read_versioned, write_json

FILE = "residual.json"
SCHEMA = "lmms-manu/residual"
VERSION = 1


@dataclasses.dataclass(frozen=True)
class Residual:
    """The probability of the gold answers as each layer of the language model would say them.

    The paper's figure 2 shows a knowledge residual and gives no formula; this is the logit lens: a layer's hidden
    state goes through the model's final norm and output head, and the probability of each token of the gold answer is
    averaged over the answer's tokens and then over the samples. A report divides it by the baseline's.

    Args:
        checkpoint: the unedited weights.
        mask: the fingerprint of what was edited, None for a model as it was.
        forget_ratio: the ratio of the people.
        layers: by set and modality, such as `forget/text`, the probability after each layer, the last one being what
            the model answers with.
        samples: how many samples each part has.
        benchmark: whose people these are.
    """

    checkpoint: str
    mask: str | None
    forget_ratio: int | None
    layers: Mapping[str, tuple[float, ...]]
    samples: Mapping[str, int]
    benchmark: str = DEFAULT_BENCHMARK

    def save(self, path: str | os.PathLike[str]) -> None:
        write_json(path, {"schema": SCHEMA, "version": VERSION, **dataclasses.asdict(self)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Residual:
        """Reads what `save` wrote.

        Raises:
            DataError: the file is of another kind or damaged.
        """
        try:
            content = read_versioned(path, SCHEMA, VERSION)
            layers = {part: tuple(map(float, values)) for part, values in content.pop("layers").items()}
            return cls(layers=layers, **content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} cannot be read as a knowledge residual: {error}") from None
