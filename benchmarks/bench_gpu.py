"""Everything that the library does with a model, timed on a CUDA card at the shapes of 7 B and 13 B models.

    python benchmarks/bench_gpu.py [--json benchmarks/gpu.json] [--seconds 240] [--models NAME ...] [--tiny]

Weights are random, in bfloat16, and made on the card, so that nothing is downloaded. After `--seconds` no further
figure is begun; what is finished is written after each. The share of the card is that of the rate at which it
multiplies two large random matrices. Without a card nothing is measured, unless `--tiny` goes through the same code
with tiny models on the CPU, whose figures mean nothing and are written nowhere but into `--json`.
"""

from __future__ import annotations

import argparse
import datetime
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from gpu_sections import LOADED, SECTIONS, Stand
from gpu_table import table
from gpu_timing import Sheet, product_rate
from shapes import SHAPES

from lmms_manu.memory import release_memory
from lmms_manu.versions import library_versions

FILE = Path(__file__).with_name("gpu.json")
MODELS = ("LLaVA-1.5-7B", "Qwen2.5-VL-7B", "LLaVA-1.5-13B")
_BOX = 2.0


def take(sheet: Sheet, models: Sequence[str], *, tiny: bool, rate: float) -> None:
    """Goes through all sections of the models, as far as the time lasts."""
    for name in models:
        made: list[Stand] = []

        def make(name: str = name, made: list[Stand] = made) -> dict[str, float]:
            started = time.perf_counter()
            made.append(Stand(name, SHAPES[name], sheet.device, tiny=tiny, box=0.0 if tiny else _BOX, rate=rate))
            return {"making_s": time.perf_counter() - started}

        sheet.section(name, "making", make)
        for section, work in SECTIONS.items() if made else ():
            if section == "loading" and name != LOADED:
                continue
            sheet.section(name, section, lambda work=work, made=made: work(made[0]))
        made.clear()
        release_memory()


def about(device: torch.device, rate: float) -> dict[str, object]:
    """The card, the versions and the date."""
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "none (tiny models on the CPU)"
    return {
        "card": card,
        "product_tflops": round(rate / 1e12, 1),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "python": sys.version.split()[0],
        "cuda": torch.version.cuda,
        "versions": library_versions(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help=f"where figures go; {FILE.name} beside this file if left out")
    parser.add_argument("--seconds", type=float, default=240, help="after which no further figure is begun")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--tiny", action="store_true", help="tiny models on the CPU: the code, no figures")
    arguments = parser.parse_args(argv)
    if not arguments.tiny and not torch.cuda.is_available():
        print("Nothing is measured: torch sees no CUDA device here. --tiny goes through the code without one.")
        return 0
    ends = time.monotonic() + arguments.seconds
    device = torch.device("cpu" if arguments.tiny else "cuda:0")
    rate = product_rate(device, 64 if arguments.tiny else 8192)
    file = arguments.json or (None if arguments.tiny else FILE)
    sheet = Sheet(file, about(device, rate), ends, device)
    with tempfile.TemporaryDirectory() as cache:
        # Nothing that an earlier run has left may be found.
        os.environ["LMMS_MANU_CACHE"] = cache
        take(sheet, arguments.models, tiny=arguments.tiny, rate=rate)
    if file is not None:
        print(table(file))
    for failure in sheet.failures:
        print(f"failed: {failure}")
    return int(bool(sheet.failures))


if __name__ == "__main__":
    sys.exit(main())
