from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.errors import DataError, UsageError
from batchflow.score.passk import pass_at_k, pass_values


@given(st.integers(1, 9), st.data())
@settings(deadline=None)
def test_it_is_the_share_of_k_subsets_with_a_right_sample(n, data):
    right, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    subsets = list(combinations([1] * right + [0] * (n - right), k))
    expected = sum(any(subset) for subset in subsets) / comb(n, k)
    assert pass_values(np.array([right]), np.array([n]), k)[0] == pytest.approx(expected)


def test_pass_at_one_is_the_mean_and_items_are_the_units():
    found = pass_at_k([5, 0, 10] * 20, [10] * 60, 1)
    assert found.mean == pytest.approx(0.5)
    assert found.interval.n_clusters == 60


def test_large_counts_do_not_overflow():
    assert 0 < pass_values(np.array([3]), np.array([100_000]), 500)[0] < 1


@pytest.mark.parametrize(("right", "samples", "k"), [([1], [2], 3), ([3], [2], 1), ([-1], [2], 1)])
def test_impossible_counts_are_refused(right, samples, k):
    with pytest.raises(DataError, match="item 0"):
        pass_at_k(right, samples, k)


def test_bad_calls():
    with pytest.raises(UsageError, match="k of 1"):
        pass_at_k([1], [1], 0)
    with pytest.raises(DataError, match="2 counts"):
        pass_at_k([1, 1], [1], 1)
