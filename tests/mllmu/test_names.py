"""Names of configurations, leaves, groups and metrics are systematic."""

import itertools

import pytest

from lmms_manu.benchmarks.mllmu.names import (
    ACCOUNTS,
    COLUMNS,
    METRICS,
    Leaf,
    config_name,
    everything_name,
    group_name,
    leaf_name,
    leaves,
)
from lmms_manu.errors import SettingError


def test_five_percent_is_the_default_and_has_no_number_in_its_name():
    assert leaf_name("forget", 5, "classification", "text") == "mllmu_forget_classification_text"
    assert leaf_name("forget", 10, "classification", "text") == "mllmu_forget_10_classification_text"
    assert (group_name("test"), group_name("test", 15)) == ("mllmu_test", "mllmu_test_15")
    assert (everything_name(), everything_name(10)) == ("mllmu", "mllmu_10")


def test_celebrities_have_no_ratio():
    assert leaf_name("celebrity", 10, "cloze", "multimodal") == "mllmu_celebrity_cloze_multimodal"
    assert group_name("celebrity", 15) == "mllmu_celebrity"
    with pytest.raises(SettingError):
        Leaf("celebrity", 5, "cloze", "text")


def test_there_is_a_leaf_for_every_split_ratio_task_and_modality():
    assert len({leaf.name for leaf in leaves()}) == (3 * 3 + 1) * 3 * 2


def test_configurations_are_named_by_the_share_they_hold():
    names = [config_name(split, 15) for split in ("forget", "test", "retain", "celebrity")]
    assert names == ["forget_15", "Test_Set", "retain_85", "Retain_Set"]


@pytest.mark.parametrize(("split", "ratio"), [("forgot", 5), ("forget", 7)])
def test_an_unknown_split_or_ratio_is_refused_with_what_is_allowed(split, ratio):
    with pytest.raises(SettingError, match="choose one of"):
        config_name(split, ratio)


def test_no_metric_is_part_of_another_because_the_harness_matches_substrings():
    names = [*itertools.chain(*METRICS.values()), *ACCOUNTS]
    assert [pair for pair in itertools.permutations(names, 2) if pair[0] in pair[1]] == []
    assert set(COLUMNS) <= set(names)
