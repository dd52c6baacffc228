from __future__ import annotations

from itertools import combinations
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import hypergeom

from batchflow.errors import UsageError
from batchflow.score.metrics import by_item, measure
from batchflow.score.passk import pass_values

VALUES = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=7)


@given(VALUES, st.integers(1, 7))
def test_best_and_worst_of_k_are_means_over_all_draws(values, k):
    k = min(k, len(values))
    drawn = list(combinations(values, k))
    given_values = np.array(values)
    assert measure(f"pass@{k}").of(given_values) == pytest.approx(fmean(map(max, drawn)))
    assert measure(f"all@{k}").of(given_values) == pytest.approx(fmean(map(min, drawn)))


@given(st.integers(0, 9), st.integers(1, 9))
def test_of_right_and_wrong_it_is_the_published_pass_at_k(right, k):
    values = np.array([1.0] * right + [0.0] * (9 - right))
    assert measure(f"pass@{k}").of(values) == pytest.approx(pass_values(np.array([right]), np.array([9]), k)[0])


@given(st.integers(0, 8), st.integers(1, 8), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_g_pass_is_the_tail_that_opencompass_computes(right, k, threshold):
    """As its `compute_g_pass_at_k` and `compute_mg_pass_at_k`, openicl/icl_evaluator/icl_base_evaluator.py."""
    values = np.array([1.0] * right + [0.0] * (8 - right))

    def tail(least):
        return hypergeom.sf(least - 1, 8, right, k) if least <= min(right, k) else 0.0

    assert measure(f"G-Pass@{k}_{threshold}").of(values) == pytest.approx(tail(max(int(np.ceil(k * threshold)), 1)))
    several = sum(tail(least) for least in range(int(np.ceil(k / 2)) + 1, k + 1))
    assert measure(f"mG-Pass@{k}").of(values) == pytest.approx(2 * several / k)


def test_items_keep_their_order_and_short_ones_are_counted():
    measured = by_item(np.array([1.0, 0.0, 0.5, 0.0]), ["b", "a", "b", "c"], measure("pass@2"))
    assert (measured.values.tolist(), measured.first.tolist(), measured.short) == ([1.0], [0], 2)


@pytest.mark.parametrize(
    "text",
    [
        "pass",
        "pass@0",
        "pass@-1",
        "pass@²",
        "mean@2",
        "all@",
        "pass@1e3",
        "nothing",
        "G-Pass@4",
        "G-Pass@4_1.5",
        "G-Pass@0_0.5",
        "mG-Pass@4_0.5",
        "mG-Pass@",
        "G-Pass@²_0.5",
    ],
)
def test_a_metric_that_makes_no_sense_is_refused(text):
    with pytest.raises(UsageError):
        measure(text)
