"""What the plugin costs `lmms-eval models`: the ratio of its time with and without the plugin's entry point.

Both commands start the same way and differ only in whether the entry point is visible; they are run in turn, so that
a busy machine slows both alike.

    python benchmarks/bench_startup.py [--runs 15]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

LIST_MODELS = """
import importlib.metadata, sys
original = importlib.metadata.entry_points
class Visible:
    def select(self, group):
        return [point for point in original(group=group) if {keep} or not point.value.startswith("lmms_manu.")]
importlib.metadata.entry_points = Visible
sys.argv = ["lmms-eval", "models"]
from lmms_eval.cli.dispatch import main
main()
"""


def seconds(keep: bool) -> float:
    """The time of one `lmms-eval models`, checked to list the plugin's model just when it should."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODELS.format(keep=keep)], capture_output=True, text=True, check=True
    )
    elapsed = time.perf_counter() - started
    if ("manu_pruned" in done.stdout) != keep:
        raise SystemExit(
            f"manu_pruned should be {'listed' if keep else 'absent'}; the command printed:\n{done.stdout[:200]}"
        )
    return elapsed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    seconds(True), seconds(False)
    pairs = [(seconds(True), seconds(False)) for _ in range(runs)]
    with_plugin, without = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        json.dumps(
            {
                "benchmark": "startup",
                "runs": runs,
                "with_plugin_s": round(with_plugin, 4),
                "without_plugin_s": round(without, 4),
                "ratio": round(with_plugin / without, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
