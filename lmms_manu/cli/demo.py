"""Makes a tiny model forget people, and prints what it forgot and what it kept.

A tiny LLaVA that knows fictitious people by picture and by name is edited by several methods to forget one in ten of
them, and is asked about them (forget), about other pictures and paraphrases of them (test), about the rest (retain)
and about celebrities, by the real lmms-eval in processes of its own. It is held against gold, a model that never met
those to forget; below each pruning stands its control, as many neurons of each layer drawn at random: the mean of
three draws, with the range. The exit code is 1 when an evaluation failed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lmms_manu.errors import SettingError
from lmms_manu.files import refuse_unwritable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, help="keep the models, data, results and logs in this new folder")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")


def run(arguments: argparse.Namespace) -> int:
    # Imported here so that a mistyped option is answered at once.
    from lmms_manu import embedded
    from lmms_manu.evaluation import demo, demo_table
    from lmms_manu.evaluation.harness import HarnessError

    started = time.monotonic()
    with _folder(arguments.output) as folder:
        embedded.lay_out(folder)
        _say(f"{len(demo.subjects())} models to evaluate in {folder}")
        try:
            scores = demo.run_demo(folder, _say)
        except HarnessError as error:
            _say(str(error))
            return 1
    print("\n".join([*demo_table.verdict(scores), ""]))
    demo_table.show(demo_table.rows(scores), markdown=arguments.markdown)
    _say(f"{time.monotonic() - started:.0f} s in all")
    return 0


@contextlib.contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="lmms-manu-demo-") as scratch:
            yield Path(scratch)
        return
    refuse_unwritable("output", wanted)
    if wanted.exists() and any(wanted.iterdir()):
        raise SettingError(f"output={str(wanted)!r} is not empty: name a new folder, nothing is overwritten.")
    wanted.mkdir(parents=True, exist_ok=True)
    yield wanted.absolute()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
