import pytest
import torch

from lmms_manu.measuring.observations import UnknownRowsError, picture_rows, token_rows

MASK = torch.tensor([[0, 1, 1, 1, 1], [1, 1, 1, 1, 1]])


def test_padding_is_no_observation():
    assert token_rows(MASK, "all").tolist() == [False] + [True] * 9


def test_the_last_token_of_the_question_is_counted_from_each_samples_own_start():
    assert token_rows(MASK, "last", (2, 4)).view(2, 5).int().tolist() == [[0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]


def test_the_answer_is_what_follows_the_question():
    assert token_rows(MASK, "answer", (2, 4)).view(2, 5).int().tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 0, 1]]


def test_what_predicts_an_answer_are_the_tokens_before_each_of_its_own():
    assert token_rows(MASK, "predicting", (2, 4)).view(2, 5).int().tolist() == [[0, 0, 1, 1, 0], [0, 0, 0, 1, 0]]


def test_questions_need_their_lengths():
    with pytest.raises(ValueError, match="needs the lengths"):
        token_rows(MASK, "last")


def test_pictures_without_padding_count_whole():
    assert picture_rows({"pixel_values": torch.zeros(2, 3, 4, 4)}, 8, 2) is None
    assert picture_rows({"pixel_attention_mask": torch.ones(2, 1, 4, 4)}, 8, 2) is None


def test_only_patches_that_a_picture_fills_count_and_padding_pictures_not_at_all():
    # Two prompts, at most two pictures of 4 x 4 pixels: one of 4 x 2, one of 4 x 3, one that is padding.
    mask = torch.zeros(2, 2, 4, 4, dtype=torch.int64)
    mask[0, 0] = 1
    mask[0, 1, :, :2] = 1
    mask[1, 0, :, :3] = 1
    rows = picture_rows({"pixel_attention_mask": mask}, 12, 2)
    assert rows.view(3, 2, 2).int().tolist() == [[[1, 1], [1, 1]], [[1, 0], [1, 0]], [[1, 0], [1, 0]]]


def test_a_mask_of_patches_is_taken_as_it_is():
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    assert picture_rows({"pixel_attention_mask": mask}, 6, None).int().tolist() == [1, 1, 0, 1, 0, 0]


def test_tiles_count_as_far_as_a_picture_fills_them():
    # One picture of two tiles in four places; 2 x 2 patches and a class token a tile, rounded up to 8.
    inputs = {"aspect_ratio_mask": torch.tensor([[[1, 1, 0, 0]]]), "pixel_values": torch.zeros(1, 1, 4, 3, 4, 4)}
    rows = picture_rows(inputs, 32, 2).view(4, 8)
    assert rows.sum(1).tolist() == [5, 5, 0, 0]
    assert rows[0].int().tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


def test_padding_of_an_unknown_form_is_an_error():
    with pytest.raises(UnknownRowsError):
        picture_rows({"pixel_attention_mask": torch.tensor([[1, 0]])}, 7, None)
