"""Says what an edit takes of GPUs, memory and hours, from the model's configuration alone; no weight is read.

Everything is calculated, nothing measured: the sizes come from the configuration, what is done from the method and its
settings, and the rest is assumed as the options say. Hours are those of the edit; loading and evaluation come on top.
The exit code is 1 where it does not fit.

examples:
  lmms-manu plan --pretrained llava-hf/llava-1.5-7b-hf --method npo --cards 4x80GB
  lmms-manu plan --pretrained FOLDER --method ga --tuning full --gradient-checkpointing True --cards 80GB
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from lmms_manu.cli.arguments import add_settings, chosen_method, given_settings
from lmms_manu.errors import ModelError, SettingError
from lmms_manu.methods.base import Method
from lmms_manu.methods.registry import make_method, method_class
from lmms_manu.models.settings import ModelSettings
from lmms_manu.settings import from_arguments

_FORGET, _RETAIN = 250, 4750


def add_arguments(parser: argparse.ArgumentParser) -> None:
    method = chosen_method(parser)
    parser.add_argument("--method", help="the method (default manu)")
    parser.add_argument("--cards", default="80GB", help="number and memory of the GPUs, such as 4x80GB (default 80GB)")
    assumed = parser.add_argument_group("what is assumed")
    assumed.add_argument(
        "--forget-samples", type=int, default=_FORGET, metavar="N", help=f"of each modality (default {_FORGET})"
    )
    assumed.add_argument(
        "--retain-samples", type=int, default=_RETAIN, metavar="N", help=f"of each modality (default {_RETAIN})"
    )
    assumed.add_argument(
        "--picture-tokens", type=int, metavar="N", help="of one picture in a prompt (default: by the configuration)"
    )
    assumed.add_argument(
        "--question-tokens", type=int, default=80, metavar="N", help="of question and answer together (default 80)"
    )
    assumed.add_argument(
        "--tflops", type=float, default=312.0, help="of a card in products of bfloat16 (default 312, an A100)"
    )
    assumed.add_argument(
        "--share", type=float, default=0.35, help="of that which passes through a model reach (default 0.35)"
    )
    add_settings(parser, "the model", ModelSettings)
    add_settings(parser, f"the method {method.name}", method.config_class)


def run(arguments: argparse.Namespace) -> int:
    classes = (ModelSettings, method_class(arguments.chosen_method).config_class)
    model, config = from_arguments(given_settings(arguments, *classes), *classes)
    method = make_method(arguments.chosen_method, config)
    for name in ("forget_samples", "retain_samples", "question_tokens", "tflops", "share"):
        if not getattr(arguments, name) > 0:
            raise SettingError(f"{name}={getattr(arguments, name)} is out of range: allowed is more than 0.")
    # Imported here, after the arguments are known to be right: torch takes seconds.
    from lmms_manu.costs.demands import SampleCounts
    from lmms_manu.costs.plan import Assumptions, Cards, plan_of
    from lmms_manu.costs.sizes import sizes_of
    from lmms_manu.costs.table import lines
    from lmms_manu.models.loading import dtype_on_card, model_without_weights

    cards = Cards.of(arguments.cards)
    empty = model_without_weights(model)
    if empty is None:
        raise ModelError(
            f"pretrained={model.checkpoint!r}: its configuration cannot be read, or says nothing of its modules. Name "
            "a folder with a config.json, or a model on the hub with a connection to it."
        )
    assumed = dataclasses.replace(
        Assumptions(), question_tokens=arguments.question_tokens, tflops=arguments.tflops, share=arguments.share
    )
    dtype = dtype_on_card(model, empty.config)
    sizes = sizes_of(empty, dtype, model.mlp_blocks, arguments.picture_tokens)
    samples = SampleCounts(arguments.forget_samples, arguments.retain_samples)
    demands = method.demands(sizes, samples)
    plan = plan_of(sizes, demands, cards, assumed)
    print("\n".join(lines(model.checkpoint, _label(method), sizes, samples, demands, cards, assumed, plan)))
    return int(plan.placing == "nothing fits")


def _label(method: Method[Any]) -> str:
    """The method with what tells its runs apart."""
    return " ".join([method.name, *(f"{value}" for value in method.variant().values())])
