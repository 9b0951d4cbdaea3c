"""Makes a tiny model forget people, and shows what it forgot, what that cost, and compared with what.

A tiny LLaVA that knows fictitious people by picture and by name is edited by several methods to forget one in ten of
them, and is asked about them, about other pictures and paraphrases of them (test), about the rest (retain) and about
celebrities, by the real lmms-eval in processes of its own. It is held against gold, a model that never met those to
forget. Each method stands at the strength that forgets most within 5 points on the others, chosen on a quarter of the
people, whom no number shown is about; beside it the range of its random controls. The page that it writes shows every
question. Interrupted, the same command goes on. The exit code is 1 when an evaluation failed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lmms_manu.errors import DataError, SettingError
from lmms_manu.files import atomic_folder, refuse_unwritable, write_json, write_text

if TYPE_CHECKING:  # pulls in all that evaluates
    from lmms_manu.evaluation.compare import Compared
    from lmms_manu.evaluation.evaluate import Evaluation

_MARK = "demo.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", type=Path, help="folder of models, data, results and page (default: in the cache)")
    parser.add_argument("--markdown", action="store_true", help="print all tables as Markdown")
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="vanilla, gold, one recipe and its controls: two minutes")
    extent.add_argument("--full", action="store_true", help="controls of every method, three seeds of each training")
    parser.add_argument(
        "--models", type=Path, help="another training's folders base, vanilla and gold_10, as train-tiny writes them"
    )


def run(arguments: argparse.Namespace) -> int:
    # Imported here so that a mistyped option is answered at once.
    from lmms_manu.evaluation import compare_table, demo
    from lmms_manu.evaluation.compare import compare_methods

    started = time.monotonic()
    extent = demo.QUICK if arguments.quick else demo.FULL if arguments.full else demo.USUAL
    folder = _prepared(arguments, extent.name)
    _say(f"in {folder}")
    plan = demo.plan_of(extent)
    with demo.own_surroundings(folder):
        compared, complete = compare_methods(plan, demo.pattern(Path("results")), _evaluate_all)
        if compared is None or not complete:
            _say(f"an evaluation failed: the logs are below {folder / 'results'}; the same command tries it again")
            return 1
        _write(compared, folder)
    if arguments.markdown:
        print(compare_table.document(compared), end="")
    else:
        print("\n".join([*compare_table.verdict(compared), ""]))
        title = "Percent of the way from vanilla (0) to gold (100), and points lost; of people not used for choosing."
        compare_table.show(compare_table.summary(compared), title)
    _say(f"{folder / 'report' / 'report.html'} is the page, {folder / 'frontier.svg'} the picture")
    _say(f"{time.monotonic() - started:.0f} s in all")
    write_json(folder / _MARK, {"extent": extent.name, "finished": True})
    return 0


def _prepared(arguments: argparse.Namespace, extent: str) -> Path:
    """The folder with models and data: a new one, or that of a demonstration that was interrupted."""
    from lmms_manu import embedded
    from lmms_manu.methods.finished import code_fingerprint
    from lmms_manu.variables import cache_folder

    own = f"{extent}-{code_fingerprint()[:12]}" + (f"-{arguments.models.name}" if arguments.models else "")
    wanted: Path = arguments.output or cache_folder() / "demo" / own
    refuse_unwritable("output", wanted)
    folder = wanted.absolute()
    known = _read_mark(folder)
    if known.get("finished") and not arguments.output:
        # In the cache, where nobody keeps anything.
        shutil.rmtree(folder)
        known = {}
    if known:
        if known["extent"] != extent:
            raise SettingError(
                f"output={str(folder)!r} holds a demonstration that is {known['extent']}, not {extent}: name another "
                "folder."
            )
        return folder
    if folder.exists() and any(folder.iterdir()):
        raise SettingError(f"output={str(folder)!r} is not empty: name a new folder, nothing is overwritten.")
    models: Path | None = arguments.models
    if models is not None and (missing := [name for name in embedded.MODELS if not (models / name).is_dir()]):
        raise DataError(f"models={str(models)!r} has no folder {missing[0]}: name one that train-tiny wrote.")
    # Whoever was interrupted while laying it out begins anew.
    with atomic_folder("output", folder) as scratch:
        embedded.lay_out(scratch, models)
        write_json(scratch / _MARK, {"extent": extent, "finished": False})
    return folder


def _read_mark(folder: Path) -> dict[str, Any]:
    """What an earlier call says of a demonstration's folder; empty where there is none."""
    try:
        return dict(json.loads((folder / _MARK).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _evaluate_all(evaluations: Sequence[Evaluation]) -> bool:
    from lmms_manu.cli.running import evaluate_all

    return evaluate_all(argparse.Namespace(at_once=None, quiet=True), evaluations, say=_say)


def _write(compared: Compared, folder: Path) -> None:
    """The page, every table, and the picture."""
    from rich.console import Console

    from lmms_manu import embedded
    from lmms_manu.cli.report import write_report
    from lmms_manu.evaluation import compare_plot, compare_table

    write_report(compared.report, folder / "report", str(folder / embedded.DATASET_NAME), Console(stderr=True))
    write_text(folder / "compare.md", compare_table.document(compared))
    write_json(folder / "compare.json", compared.as_dict())
    compare_plot.draw(compared, folder / "frontier.svg")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
