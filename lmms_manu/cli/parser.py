"""Options in one style: shown with hyphens, understood with underscores too, as the harness writes its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

_OLD_NAMES = {"--out": "--output"}


class OptionParser(argparse.ArgumentParser):
    """A parser whose options are spelt in one way, whichever way they are added and typed."""

    words: Sequence[str] = ()
    """What will be parsed, for options that depend on others, such as those of the method that is named."""

    def add_argument(self, *names: str, **about: Any) -> argparse.Action:
        """As argparse does; an option keeps the attribute that its name as given leads to."""
        spelt = [one_style(name) for name in names]
        if spelt != list(names) and "dest" not in about:
            about["dest"] = names[0].lstrip("-").replace("-", "_")
        return super().add_argument(*spelt, **about)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse does, of words in either style."""
        words = list(args or ())
        options = words.index("--") if "--" in words else len(words)
        return super().parse_known_args([*map(one_style, words[:options]), *words[options:]], namespace)


def one_style(word: str) -> str:
    """A word of a command line with its option, if it is one, in the style that help shows."""
    if not word.startswith("--"):
        return word
    name, separator, value = word.partition("=")
    name = name.replace("_", "-")
    return f"{_OLD_NAMES.get(name, name)}{separator}{value}"
