from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lmms_manu.answering.prefix import SharedStart, shared_start
from lmms_manu.models.inputs import TokenizedPrompt

PICTURE = 7


def prompt(*parts: int | str) -> TokenizedPrompt:
    """Numbers are tokens, texts are pictures of three tokens."""
    ids: list[int] = []
    spans, digests = [], []
    for part in parts:
        if isinstance(part, str):
            spans.append((len(ids), len(ids) + 3))
            digests.append(part.encode())
            ids += [PICTURE] * 3
        else:
            ids.append(part)
    return TokenizedPrompt(np.asarray(ids, dtype=np.int32), tuple(spans), tuple(digests))


def test_the_start_ends_where_the_prompts_differ():
    assert shared_start([prompt(1, 2, 3, 4), prompt(1, 2, 5, 4)]) == SharedStart(2, 0)


def test_every_prompt_keeps_a_token_of_its_own():
    assert shared_start([prompt(1, 2), prompt(1, 2, 3)]) == SharedStart(1, 0)


def test_equal_pictures_belong_to_the_start():
    assert shared_start([prompt(1, "a", 2, 3), prompt(1, "a", 2, 4)]) == SharedStart(5, 1)


def test_the_start_ends_before_a_picture_that_differs_though_its_tokens_are_equal():
    assert shared_start([prompt(1, "a", 2, "b", 3), prompt(1, "a", 2, "c", 3)]) == SharedStart(5, 1)


def test_a_picture_is_not_split():
    assert shared_start([prompt(1, "a"), prompt(1, "a", 2)]) == SharedStart(1, 0)


def test_prompts_that_only_the_processor_can_make_share_nothing():
    opaque = TokenizedPrompt(np.arange(5, dtype=np.int32), separable=False)
    assert shared_start([opaque, opaque]) == SharedStart(0, 0)


parts = st.lists(st.one_of(st.integers(1, 3), st.sampled_from(["a", "b"])), min_size=1, max_size=8)


@given(st.lists(parts, min_size=2, max_size=5))
def test_the_start_is_common_and_holds_whole_pictures(prompts):
    made = [prompt(*some) for some in prompts]
    start = shared_start(made)
    first = made[0]
    assert all(np.array_equal(one.ids[: start.tokens], first.ids[: start.tokens]) for one in made)
    assert all(one.digests[: start.pictures] == first.digests[: start.pictures] for one in made)
    assert all(len(one) > start.tokens for one in made)
    whole = [end for _, end in first.spans if end <= start.tokens]
    cut = [begin for begin, end in first.spans if begin < start.tokens < end]
    assert len(whole) == start.pictures
    assert not cut
