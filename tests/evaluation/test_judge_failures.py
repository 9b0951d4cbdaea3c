import json

import pytest

from lmms_manu.evaluation.judge_failures import unjudged_tasks

LEAF = "mllmu_forget_generation_text"


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ([None, None], []),
        ([None, {"reason": "the judge's reply is empty", "unreachable": False}], []),
        ([None, {"reason": "the endpoint answers 503", "unreachable": True}], [LEAF]),
        ([{"reason": "no reply", "unreachable": True}] * 2, [LEAF]),
    ],
)
def test_a_judge_that_was_away_for_an_answer_is_told_from_one_that_gave_no_score(tmp_path, reasons, expected):
    values = {"scored,none": len(reasons), "not_judged,none": sum(reason is not None for reason in reasons)}
    results = tmp_path / "20260101_000000_results.json"
    results.write_text(json.dumps({"results": {LEAF: values}}))
    scored = {"question": "Where?", "target": "Oslo", "response": "In Oslo.", "person": "7"}
    lines = [
        json.dumps(
            {"scored": {**scored, "number": number}, "not_judged": {"count": 1, **reason} if reason else {"count": 0}}
        )
        for number, reason in enumerate(reasons)
    ]
    (tmp_path / f"20260101_000000_samples_{LEAF}.jsonl").write_text("\n".join(lines))
    assert unjudged_tasks(results, has_judge=False) == expected
