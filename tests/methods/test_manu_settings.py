"""Settings of MANU that look like a slip are told."""

import warnings

import pytest

from lmms_manu.methods.manu.config import ManuSettings


def test_a_rate_that_looks_like_a_share_gets_a_hint():
    with pytest.warns(
        UserWarning, match=r"prune_rate=0\.02 is in percent: one neuron in 5000\. .* it is prune_rate=2\."
    ):
        ManuSettings(prune_rate=0.02)


@pytest.mark.parametrize("rate", [0, 0.1, 2])
def test_other_rates_get_none(rate):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ManuSettings(prune_rate=rate)
