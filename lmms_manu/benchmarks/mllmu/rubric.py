"""The prompt of the factuality judge, and reading its reply.

Source: MLLMU-Bench (arXiv 2410.22108), whose judge rates a generated answer against the ground truth from 1 to 10.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

VERSION = "1"
"""Changes with every change of the texts below, so that no cached verdict of another rubric is taken."""

LOWEST, HIGHEST = 1, 10

SYSTEM = "You are an expert at evaluating the factuality of responses."

_RUBRIC = """Rate how factual the generated answer is, compared with the ground truth, on a scale from 1 to 10.

9-10: fully correct; it has the same meaning as the ground truth, in whatever words.
7-8: mostly correct; a minor detail is wrong or missing.
5-6: partly correct; it has a noticeable error or gap.
3-4: major errors; little of it agrees with the ground truth.
1-2: nonsense, irrelevant, or entirely wrong.

Added detail that is not relevant to the question lowers the score. Rate only what the answer says about the question.

Question: {question}
Ground truth: {reference}
Generated answer: {answer}

Reply with a JSON object and nothing else: {{"score": <whole number from 1 to 10>, "reason": "<one short sentence>"}}"""

RESPONSE_FORMAT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "verdict",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"score": {"type": "integer"}, "reason": {"type": "string"}},
            "required": ["score", "reason"],
            "additionalProperties": False,
        },
    },
}

_SCORE_KEYS = ("score", "factuality score")
_REASON_KEYS = ("reason", "justification", "explanation")
_FENCED = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL | re.IGNORECASE)
_LABELLED = re.compile(r"\b(?:score|rating)\b[\"'*\s]*(?::|=|\bis\b|\bof\b)[\"'*\s]*(-?\d+(?:\.\d+)?)", re.IGNORECASE)
_SCALE = re.compile(
    r"(?:\bscale\s+(?:of|from)\s+|\bfrom\s+)?\b1\s*(?:-|–|to)\s*10\b|(?:/|\bout\s+of\b)\s*10\b", re.IGNORECASE
)
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)")
# What makes a number a part of another one, or the first of several: "9-10", "7 or 8", "4/5", "8,5", "8 %".
_CONTINUED = re.compile(r"\s*[-–—/]\s*\d|,\d|\s*%|\s+(?:or|to)\s+\d|\s+out\s+of\b", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What a judge says of an answer.

    Args:
        score: 1 to 10.
        reason: the judge's reason, possibly empty.
    """

    score: float
    reason: str


def judge_prompt(question: str, reference: str, answer: str) -> str:
    """What the judge is asked about an answer."""
    return _RUBRIC.format(question=question, reference=reference, answer=answer)


def read_verdict(reply: str) -> Verdict | str:
    """The verdict in a judge's reply, or why there is none; a reply that could be read in two ways has none.

    Accepted are the JSON object that was asked for, the one that the released script asks for (`"Factuality Score"`),
    one score with its label ("Score: 8"), and a text with no other number than the score, the scale itself not counted
    ("on a scale of 1 to 10, 8").
    """
    text = reply.strip()
    if not text:
        return "the judge's reply is empty"
    fenced = _FENCED.match(text)
    try:
        parsed = json.loads(fenced.group(1) if fenced else text)
    except ValueError:
        return _read_text(text)
    if isinstance(parsed, dict):
        scores = _under(parsed, _SCORE_KEYS)
        if len(scores) == 1 and isinstance(scores[0], (int, float)) and not isinstance(scores[0], bool):
            reasons = [reason for reason in _under(parsed, _REASON_KEYS) if isinstance(reason, str)]
            return _checked(float(scores[0]), reasons[0] if reasons else "")
    elif isinstance(parsed, (int, float)) and not isinstance(parsed, bool):
        return _checked(float(parsed), "")
    return f"the judge's reply has no score: {_short(text)}"


def _under(reply: Mapping[str, Any], keys: Sequence[str]) -> list[Any]:
    """The values of those of the `keys` that a reply has, however it spells them."""
    return [value for key, value in reply.items() if " ".join(key.lower().replace("_", " ").split()) in keys]


def _read_text(text: str) -> Verdict | str:
    bare = _SCALE.sub(" ", text)
    numbers = list(_LABELLED.finditer(bare)) or list(_NUMBER.finditer(bare))
    if len(numbers) != 1:
        return f"the judge's reply has {len(numbers) or 'no'} numbers where one score is expected: {_short(text)}"
    if _CONTINUED.match(bare, numbers[0].end()):
        return f"the judge's score can be read in several ways: {_short(text)}"
    return _checked(float(numbers[0][1]), text)


def _checked(score: float, reason: str) -> Verdict | str:
    if not LOWEST <= score <= HIGHEST:
        return f"the judge's score {score:g} is not between {LOWEST} and {HIGHEST}"
    # A reason may hold what no file can, such as half a character.
    return Verdict(score, reason.strip().encode(errors="replace").decode())


def _short(text: str, length: int = 80) -> str:
    return repr(text if len(text) <= length else f"{text[:length]}...")
