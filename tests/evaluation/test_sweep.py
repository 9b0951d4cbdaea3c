"""A sweep is every combination of its values, after the vanilla model."""

import pytest

from lmms_manu.errors import SettingError
from lmms_manu.evaluation.sweep import points


def test_every_combination_is_a_point_after_the_vanilla_model():
    grid = {"recipe": ["paper", "ratio"], "prune_rate": ["2", "10"]}
    vanilla, *edited = points(grid, {"pretrained": "x"})
    assert vanilla.model_args == {"pretrained": "x", "prune_rate": "0"}
    assert [point.name for point in edited] == [
        "paper-2",
        "paper-10",
        "ratio-2",
        "ratio-10",
    ]
    assert all(point.model_args["pretrained"] == "x" for point in edited)


@pytest.mark.parametrize("grid", [{}, {"recipe": []}])
def test_a_sweep_over_nothing_is_refused(grid):
    with pytest.raises(SettingError, match="needs a setting"):
        points(grid, {})


def test_a_setting_cannot_be_swept_and_fixed_at_once():
    with pytest.raises(SettingError, match="prune_rate cannot be both"):
        points({"prune_rate": ["2"]}, {"prune_rate": "5"})
