"""The suites of benchmarks that `lmms-manu evaluate` runs, part by part."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from lmms_manu.benchmarks.registry import DEFAULT_BENCHMARK, get_benchmark, names
from lmms_manu.benchmarks.stock import STOCK_BENCHMARKS, UrlForm
from lmms_manu.errors import SettingError, one_of

_COMPLETIONS = "/chat/completions"


@dataclasses.dataclass(frozen=True)
class SuitePart:
    """One call of lmms-eval.

    Args:
        name: the part's name, also of its folder.
        tasks: the harness's names of what it runs.
        judge_url: the form in which its judge reads `OPENAI_API_URL`, None if it needs no judge.
        benchmark: the benchmark of unlearning that it belongs to; empty for a stock benchmark.
    """

    name: str
    tasks: tuple[str, ...]
    judge_url: UrlForm | None = None
    benchmark: str = ""

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """`OPENAI_API_URL` in the form that this part's judge expects; empty where none is set or needed.

        The stock tasks disagree: MM-Vet and LLaVA-Bench append `/chat/completions` to it, MIA-Bench does not.
        """
        url = variables.get("OPENAI_API_URL", "").rstrip("/")
        if self.judge_url is None or not url:
            return {}
        base = url.removesuffix(_COMPLETIONS)
        return {"OPENAI_API_URL": base if self.judge_url == "base" else base + _COMPLETIONS}


UTILITY = tuple(SuitePart(stock.name, (stock.task,), stock.judge_url) for stock in STOCK_BENCHMARKS)


LIKELIHOODS = "likelihoods"


def suites() -> tuple[str, ...]:
    """The suites that there are.

    Each benchmark; the stock benchmarks; both of these for one model; and the likelihoods of a benchmark's answers.
    """
    return (*names(), "utility", "all", LIKELIHOODS)


def parts(
    suite: str, forget_ratio: int | None, skip: tuple[str, ...] = (), benchmark: str = DEFAULT_BENCHMARK
) -> tuple[SuitePart, ...]:
    """The parts of a suite, without those to `skip`.

    Args:
        suite: one of `suites()`.
        forget_ratio: the ratio whose people are asked about; None for a benchmark without ratios.
        skip: names of parts to leave out.
        benchmark: the one that belongs to `all` and `likelihoods`: whose people the model forgets.

    Raises:
        SettingError: there is no such suite or part, or nothing is left.
    """
    if suite not in suites():
        raise one_of("suite", suite, suites())
    own: tuple[SuitePart, ...] = ()
    if suite != "utility":
        name = benchmark if suite in ("all", LIKELIHOODS) else suite
        own = _parts_of(name, forget_ratio, likelihoods=suite == LIKELIHOODS)
    every = (*own, *(UTILITY if suite in ("utility", "all") else ()))
    for name in skip:
        if name not in {part.name for part in every}:
            raise one_of("skip", name, [part.name for part in every])
    left = tuple(part for part in every if part.name not in skip)
    if not left:
        raise SettingError(f"skip={','.join(skip)} leaves nothing of the suite {suite!r} to run.")
    return left


def _parts_of(name: str, forget_ratio: int | None, *, likelihoods: bool) -> tuple[SuitePart, ...]:
    """A part for each split of a benchmark, with the groups that ask about it."""
    benchmark = get_benchmark(name)
    if benchmark.ratios and forget_ratio not in benchmark.ratios:
        raise one_of(f"forget_ratio of {name}", forget_ratio, benchmark.ratios)
    groups: dict[str, dict[str, None]] = {split.name: {} for split in benchmark.splits}
    for task in benchmark.tasks():
        if task.reads_likelihoods != likelihoods:
            continue
        if task.ratio in (None, forget_ratio) and not benchmark.no_questions(task.group):
            groups[task.split][task.group] = None
    return tuple(SuitePart(f"{name}_{split}", tuple(some), benchmark=name) for split, some in groups.items() if some)


def check_judge(parts: tuple[SuitePart, ...], variables: Mapping[str, str]) -> None:
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
