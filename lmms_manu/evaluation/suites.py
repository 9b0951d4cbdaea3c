"""The suites of benchmarks that `lmms-manu evaluate` runs, part by part."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Literal

from lmms_manu.errors import SettingError, one_of
from lmms_manu.mllmu.names import SPLITS, group_name

SUITES = ("mllmu", "utility", "all")

UrlForm = Literal["base", "full"]

_COMPLETIONS = "/chat/completions"


@dataclasses.dataclass(frozen=True)
class Part:
    """One call of lmms-eval.

    Args:
        name: the part's name, also of its folder.
        tasks: the harness's names of what it runs.
        judge_url: the form in which its judge reads `OPENAI_API_URL`, None if it needs no judge.
    """

    name: str
    tasks: tuple[str, ...]
    judge_url: UrlForm | None = None

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """`OPENAI_API_URL` in the form that this part's judge expects; empty where none is set or needed.

        The stock tasks disagree: MM-Vet and LLaVA-Bench append `/chat/completions` to it, MIA-Bench does not.
        """
        url = variables.get("OPENAI_API_URL", "").rstrip("/")
        if self.judge_url is None or not url:
            return {}
        base = url.removesuffix(_COMPLETIONS)
        return {"OPENAI_API_URL": base if self.judge_url == "base" else base + _COMPLETIONS}


UTILITY = (
    Part("mmmu", ("mmmu_val",)),
    Part("mmstar", ("mmstar",)),
    Part("mmvet", ("mmvet",), judge_url="base"),
    Part("mia_bench", ("mia_bench",), judge_url="full"),
    Part("llava_bench", ("llava_in_the_wild",), judge_url="base"),
)


def parts(suite: str, forget_ratio: int, skip: tuple[str, ...] = ()) -> tuple[Part, ...]:
    """The parts of a suite, without those to `skip`.

    Raises:
        SettingError: there is no such suite or part, or nothing is left.
    """
    if suite not in SUITES:
        raise one_of("suite", suite, SUITES)
    mllmu = tuple(Part(f"mllmu_{split}", (group_name(split, forget_ratio),)) for split in SPLITS)
    every = {"mllmu": mllmu, "utility": UTILITY, "all": mllmu + UTILITY}[suite]
    for name in skip:
        if name not in {part.name for part in every}:
            raise one_of("skip", name, [part.name for part in every])
    left = tuple(part for part in every if part.name not in skip)
    if not left:
        raise SettingError(f"skip={','.join(skip)} leaves nothing of the suite {suite!r} to run.")
    return left


def check_judge(parts: tuple[Part, ...], variables: Mapping[str, str]) -> None:
    """Refuses parts that need a judge where none is configured, before hours are spent on answers.

    Without a key MM-Vet fails when its answers are in, and LLaVA-Bench reports 100.

    Raises:
        SettingError: `OPENAI_API_KEY` is not set.
    """
    judged = [part.name for part in parts if part.judge_url]
    if judged and not variables.get("OPENAI_API_KEY"):
        raise SettingError(
            f"No judge is configured for {', '.join(judged)}: OPENAI_API_KEY is not set. Set it "
            "(with OPENAI_API_URL for an endpoint other than OpenAI's and MODEL_VERSION for its model), "
            f"or leave them out: lmms-manu evaluate --skip {','.join(judged)}."
        )


def check_judge_of_tasks(tasks: Iterable[str], variables: Mapping[str, str]) -> None:
    """`check_judge` for the parts that have one of the harness's `tasks`.

    Raises:
        SettingError: `OPENAI_API_KEY` is not set.
    """
    asked = set(tasks)
    check_judge(tuple(part for part in UTILITY if asked.intersection(part.tasks)), variables)
