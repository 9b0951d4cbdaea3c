"""Examples to measure neurons on, with pictures of noise."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image

from lmms_manu.measuring.rendered import RenderedExample


@functools.lru_cache
def noise(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def make_examples(group, modality, number):
    """Examples of very different lengths, each with a picture of its own if multimodal."""
    examples = []
    for index in range(number):
        question = f"USER: {'<image>' if modality == 'multimodal' else ''}{group} {'why ' * (index % 5)}?\nASSISTANT:"
        seed = index + 100 * len(group)
        pictured = modality == "multimodal"
        examples.append(
            RenderedExample(
                label=f"{group} {modality} sample {index}",
                question=question,
                answer=f" because {index}{'.' * (3 * index % 7)}",
                pictures=functools.partial(lambda seed: [noise(seed)], seed) if pictured else list,
                picture_digest=str(seed) if pictured else "",
            )
        )
    return examples
