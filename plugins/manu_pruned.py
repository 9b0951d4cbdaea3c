"""The harness's model `manu_pruned`: loads a checkpoint, makes it forget, and answers.

construct
    check the arguments, read the people to forget and to retain    (before any weight is read)
    find the device and the other processes
    load the checkpoint, edit it by the chosen method
    publish the edit's record
answer
    convert the harness's requests, answer them in batches, give the harness its numbers
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from lmms_eval.models.model_utils.gen_metrics import log_metrics
from lmms_eval.utils import simple_parse_args_string
from loguru import logger

from lmms_manu.answering.engine import AnsweringEngine, Work
from lmms_manu.answering.kept_answers import KeptAnswers
from lmms_manu.answering.likelihood import LikelihoodScorer
from lmms_manu.answering.requests import Answer, PromptRequest, written
from lmms_manu.answering.settings import AnsweringSettings
from lmms_manu.benchmarks.registry import announce_choice, announce_model, check_questions, find_task
from lmms_manu.errors import ModelError
from lmms_manu.evaluation.suites import check_judge_of_tasks
from lmms_manu.files import write_json
from lmms_manu.memory import release_memory
from lmms_manu.methods import unlearn
from lmms_manu.methods.determinants import answer_determinants
from lmms_manu.methods.evaluated import note_evaluated
from lmms_manu.methods.record import EditRecord
from lmms_manu.models.devices import resolve_device
from lmms_manu.models.inputs import PromptEncoder
from lmms_manu.plugins.conversion import RequestConverter, task_of
from lmms_manu.plugins.harness_processes import (
    check_same_documents,
    check_same_questions,
    join_launched_processes,
    take_down_on_failure,
)
from lmms_manu.plugins.kept_model import kept_or_made
from lmms_manu.plugins.options import refuse_options, running_options
from lmms_manu.plugins.requested_tasks import People, people_of, people_of_tasks, take_requested_tasks
from lmms_manu.variables import answers_folder, rank_and_world, record_file

_HARNESS_BATCH_SIZE = 1
"""What the harness passes where nobody named a batch size; one that was typed arrives as text."""


class ManuPruned(lmms):  # type: ignore[misc]  # lmms-eval has no types
    """An image-text-to-text checkpoint that was made to forget, for tasks of the chat kind.

    Args:
        arguments: the fields of `ModelSettings`, `AnsweringSettings`, `UnlearningSettings` and of the method's own
            settings, by name.

    Raises:
        SettingError: an argument is unknown or has a value that is not allowed.
        DataError: the people to forget cannot be read.
        ModelError: the checkpoint cannot be loaded or edited.
    """

    is_simple = False

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self._rank, self._world_size = rank_and_world()
        with take_down_on_failure():
            plan = unlearn.plan(arguments, AnsweringSettings)
            (answering,) = plan.others
            self._documents_checked = False
            self._forgotten = _forgotten(plan)
            self._choice = plan.unlearning
            self._check_requested()
            self.batch_size: str = answering.batch_size
            self._prompt = plan.unlearning.prompt
            self._device = resolve_device(plan.model)
            self.accelerator: Accelerator = join_launched_processes(self._device, plan.model)
            check_same_questions()
            # The harness's evaluation before this one keeps its model in a cycle, beside which this may not fit.
            release_memory()
            self._checkpoint, self.record = plan.load()
            self._encoder = PromptEncoder(self._checkpoint)
            self._engine = AnsweringEngine(self._checkpoint, self._encoder, answering, progress=self._rank == 0)
            self._scorer = LikelihoodScorer(self._checkpoint, self._encoder, answering, progress=self._rank == 0)
        self._announce()

    @classmethod
    def create_from_arg_string(
        cls, arg_string: str | Mapping[str, Any], additional_config: Mapping[str, Any] | None = None
    ) -> ManuPruned:
        """Makes the model from `--model_args` and the harness's own options.

        The harness passes its batch size of 1 where nobody named one; the model then chooses. `--batch_size` and
        `--device` count where `--model_args` does not name the same.

        Raises:
            SettingError: an option of the harness has no effect with this model, or as for the class.
        """
        refuse_options(running_options())
        arguments = dict(arg_string) if isinstance(arg_string, Mapping) else simple_parse_args_string(arg_string)
        for name in ("batch_size", "device"):
            value = (additional_config or {}).get(name)
            if value is not None and not (name == "batch_size" and value == _HARNESS_BATCH_SIZE):
                arguments.setdefault(name, value)
        model, known = kept_or_made(cls, arguments, lambda: cls(**arguments))
        if known:
            with take_down_on_failure():
                model._check_requested()
            model._announce()
        return model

    @property
    def device(self) -> torch.device:
        """Where the harness puts what the processes exchange."""
        return self._device

    @property
    def chat_template(self) -> str:
        """What `--apply_chat_template` would apply; refused, as it is where the harness makes the model."""
        refuse_options({"apply_chat_template": True})
        return ""

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """Answers requests, in order.

        Raises:
            ModelError: a prompt does not fit, or asks a pruned model about people of another forget ratio.
            DataError: a picture cannot be read.
            SettingError: a task needs a judge and none is configured.
        """
        with take_down_on_failure():
            self._begin()
            note_evaluated(self.record)
            check_judge_of_tasks((task_of(request) for request in requests), os.environ)
            # Processes with fewer documents are given copies of one of them; nobody reads the answers to those.
            asked = [request for request in requests if not (request.metadata or {}).get("__padding_only__")]
            converter = self._converter()
            scored = [request for request in asked if _reads_likelihoods(request)]
            answered = [request for request in asked if not _reads_likelihoods(request)]
            prompts = (self._convert(converter, request) for request in answered)
            with self._kept_answers() as kept:
                answers = self._engine.answer(prompts, len(answered), kept)
            results = {id(request): _result(answer) for request, answer in zip(answered, answers, strict=True)}
            likelihoods = self._scorer.score(self._convert(converter, request).scored() for request in scored)
            for request, own in zip(scored, likelihoods, strict=True):
                results[id(request)] = GenerationResult(written(own))
            return [results.get(id(request), GenerationResult("")) for request in requests]

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """The loss of each continuation, and whether it is what greedy decoding gives, as `(loss, greedy)`.

        The harness's simple models give the mean negative log-likelihood of a token, and its multiple-choice tasks
        take the smallest; so does this one. A bare pair would be turned into text by lmms-eval 0.7.3 on its way to
        the task; inside a result it arrives as it is.
        """
        with take_down_on_failure():
            self._begin()
            converter = self._converter()
            scores = self._scorer.score(converter.continuation(request) for request in requests)
            return [GenerationResult((-one.log_probability / one.tokens, one.greedy)) for (one,) in scores]

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        raise ModelError(
            f"{task_of(requests[0])} asks in several rounds, which manu_pruned does not support: leave the task out."
        )

    def clean(self) -> None:
        """Reports what answering has cost and frees what it has kept; the model stays for further evaluations.

        The harness calls it in every process once all is answered, also in one that had nothing to answer.
        """
        with take_down_on_failure():
            self._check_documents()
        self._documents_checked = False
        self._report()
        self._encoder.pictures.clear()
        release_memory()

    def _begin(self) -> None:
        """Checks what is only known once the harness asks: its options, and the documents of all processes."""
        options = running_options()
        # Where the harness is given a model that is there already, this is the first that it hears of the rest.
        refuse_options(options)
        if options.get("response_cache") is None:  # with one, a process may find all of its answers there
            self._check_documents()

    def _check_documents(self) -> None:
        """Compares the tasks' documents between processes, once an evaluation; all of them have to call it."""
        if not self._documents_checked:
            check_same_documents({name: own for name, own in self.task_dict.items() if find_task(name) is None})
            self._documents_checked = True

    def _convert(self, converter: RequestConverter, request: Instance) -> PromptRequest:
        return converter.chat(request)

    def _converter(self) -> RequestConverter:
        return RequestConverter(self._encoder, self.task_dict, self._prompt, self._check_people)

    def _check_people(self, task: str, label: str) -> None:
        """Refuses questions about people that this model was not edited to forget, or to keep."""
        if self.record.edited:
            _refuse_others(label, people_of(task), self.record.forgotten)

    @contextlib.contextmanager
    def _kept_answers(self) -> Iterator[KeptAnswers | None]:
        """What this model has answered before it was stopped; None where nobody wants it, or the weights are untold."""
        folder = answers_folder()
        model = None if folder is None else answer_determinants(self._checkpoint)
        if folder is None or model is None:
            yield None
            return
        with contextlib.closing(KeptAnswers(folder, model, self._rank)) as kept:
            yield kept

    def _check_requested(self) -> None:
        """Says to benchmarks whom the model was to forget, and refuses tasks that ask about others, or about nobody.

        Raises:
            DataError: the data has no questions for a task.
            SettingError: a task asks about others.
        """
        requested = take_requested_tasks()
        announce_choice(self._choice)
        check_questions(requested)
        _check_people(self._forgotten, people_of_tasks(requested))

    def _announce(self) -> None:
        """Says to tasks, log and whoever started the harness that this is the model of the evaluation."""
        note_evaluated(self.record)
        announce_model(self._checkpoint.model.config.model_type)
        if self._rank == 0:
            logger.info(self.record.summary())
            if (file := record_file()) is not None:
                write_json(file, self.record.as_dict())

    def _report(self) -> None:
        """Puts what answering cost, in all processes together, into the harness's metrics."""
        own, self._engine.work = self._engine.work, Work()
        work = Work.side_by_side(gather_object([own]))
        if self._rank == 0 and work.prompts:
            log_metrics(
                total_elapsed_time=work.seconds,
                total_gen_tokens=work.new_tokens,
                avg_speed=work.new_tokens / work.seconds,
                additional_metrics={
                    "total_requests": work.prompts,
                    "prompt_tokens": work.prompt_tokens,
                    "computed_prompt_tokens": work.computed_prompt_tokens,
                    "questions_per_second": work.prompts / work.seconds,
                },
            )


class ManuPrunedSimple(ManuPruned):
    """The same model for tasks of the simple kind, such as multiple choice by likelihood (`--force_simple`)."""

    is_simple = True

    def _convert(self, converter: RequestConverter, request: Instance) -> PromptRequest:
        return converter.simple(request)


def _forgotten(plan: unlearn.UnlearningRun) -> Mapping[str, str | int]:
    """Whom the model will have forgotten, before it is loaded."""
    if plan.data is not None:
        return plan.unlearning.forgotten
    written = EditRecord.of_checkpoint(plan.model.checkpoint)
    return {} if written is None else written.forgotten


def _check_people(forgotten: Mapping[str, str | int], announced: Mapping[str, People]) -> None:
    """Refuses tasks about people that the model has not `forgotten`, or kept.

    Raises:
        ModelError: there are such tasks among the `announced` ones.
    """
    for task, people in announced.items():
        _refuse_others(task, people, forgotten)


def _refuse_others(label: str, people: People | None, forgotten: Mapping[str, str | int]) -> None:
    """Refuses people of another forget ratio than those forgotten; another benchmark's are not a matter of ratios.

    Raises:
        ModelError: naming both.
    """
    own = forgotten.get("forget_ratio")
    if people is None or own is None or forgotten.get("benchmark") != people[0] or own == people[1]:
        return
    ratio = people[1]
    raise ModelError(
        f"{label} belongs to the tasks of forget ratio {ratio}, but the model forgets with forget_ratio={own}: "
        f"evaluate the tasks of {own} %, or edit it with forget_ratio={ratio}."
    )


def _reads_likelihoods(request: Instance) -> bool:
    known = find_task(task_of(request))
    return known is not None and known.reads_likelihoods


def _result(answer: Answer) -> GenerationResult:
    return GenerationResult(answer.text, TokenCounts(answer.prompt_tokens, answer.new_tokens))
