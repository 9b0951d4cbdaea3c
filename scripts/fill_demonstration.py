"""Writes what a demonstration came to into the README and docs/demonstration.md, and its picture beside them.

    lmms-manu demo --output FOLDER
    python scripts/fill_demonstration.py FOLDER [--second FOLDER]

Of a second folder, made with other models (`lmms-manu demo --models DIR --output FOLDER`), the verdict and the table
are shown beside the first one's, and nothing is chosen by them.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = "demonstration.svg"


def parts_of(folder: Path) -> list[str]:
    """Verdict, table of the methods, shares at a cost, and table of all strengths, as a demonstration wrote them."""
    return (folder / "compare.md").read_text(encoding="utf-8").strip().split("\n\n")


def filled(text: str, name: str, content: str) -> str:
    """`text` with what stands between `<!-- NAME -->` and `<!-- end -->` written anew."""
    pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"there is no section <!-- {name} -->")
    return pattern.sub(lambda match: f"{match[1]}\n{content}\n\n{match[2]}", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a finished demonstration")
    parser.add_argument("--second", type=Path, help="another one, of a second training seed")
    arguments = parser.parse_args()
    verdict, table, costs, strengths = parts_of(arguments.folder)
    paragraphs = verdict.replace("\n", "\n\n")
    shutil.copyfile(arguments.folder / "frontier.svg", ROOT / "docs" / PICTURE)
    sections = {
        ROOT / "README.md": {"demo": f"{paragraphs}\n\n{table}"},
        ROOT / "docs" / "demonstration.md": {
            "demo": f"{paragraphs}\n\n{table}",
            "demo costs": costs,
            "demo strengths": strengths,
        },
    }
    if arguments.second is not None:
        other, other_table, other_costs, _ = parts_of(arguments.second)
        told = "\n\n".join([other.replace("\n", "\n\n"), other_table, other_costs])
        sections[ROOT / "docs" / "demonstration.md"]["demo second"] = told
    for file, contents in sections.items():
        text = file.read_text(encoding="utf-8")
        for name, content in contents.items():
            text = filled(text, name, content)
        file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
