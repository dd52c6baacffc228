import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy import stats

from batchflow.errors import DataError, UsageError
from batchflow.score.base import draws
from batchflow.score.base.clusters import cluster
from batchflow.score.intervals import CHOICES, METHODS, Settings, effective_n, estimate, percentile

thirds = st.lists(st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0]), min_size=1, max_size=60)
fractions = st.lists(st.floats(0, 1), min_size=1, max_size=40)
FAST = 499


@pytest.mark.parametrize("ci", CHOICES)
@given(values=thirds | fractions, seed=st.integers(0, 99))
@examples(max_examples=25, deadline=None)
def test_bounds_lie_in_the_unit_interval_and_hold_the_mean(ci, values, seed):
    found = estimate(values, settings=Settings(ci, 0.9, FAST, seed)).interval
    assert 0 <= found.low <= np.mean(values) + 1e-12
    assert np.mean(values) - 1e-12 <= found.high <= 1


@pytest.mark.parametrize("ci", METHODS)
@given(values=thirds)
@examples(max_examples=20, deadline=None)
def test_a_higher_level_is_never_narrower(ci, values):
    narrow, wide = (estimate(values, settings=Settings(ci, level, FAST)).interval for level in (0.8, 0.99))
    assert wide.low <= narrow.low + 1e-12
    assert wide.high >= narrow.high - 1e-12


@given(values=thirds, order=st.randoms(use_true_random=False))
@examples(max_examples=30, deadline=None)
def test_the_order_of_items_changes_nothing_to_the_last_byte(values, order):
    labels = [index // 3 for index in range(len(values))]
    rows = list(zip(values, labels, strict=True))
    order.shuffle(rows)
    again, relabelled = zip(*rows, strict=True)
    how = Settings(resamples=FAST)
    assert estimate(values, settings=how) == estimate(again, settings=how)
    assert estimate(values, labels, how) == estimate(again, relabelled, how)


def test_same_seed_same_bytes_another_seed_another_draw():
    values = np.random.default_rng(1).choice([0, 1 / 3, 2 / 3, 1], 301)
    one, two, other = (estimate(values, settings=Settings(seed=seed)).interval for seed in (5, 5, 6))
    assert json.dumps(one.to_json()) == json.dumps(two.to_json())
    assert (one.low, one.high) != (other.low, other.high)
    assert (one.seed, one.resamples, one.n, one.n_clusters) == (5, 9999, 301, 301)


@given(values=st.lists(st.sampled_from([0.0, 1 / 3, 2 / 3, 1.0]), min_size=15, max_size=60))
@examples(max_examples=15, deadline=None)
def test_percentile_agrees_with_plain_scipy(values):
    if len(set(values)) == 1:
        values = [*values, 1 - values[0], 0.5]
    fast = percentile(cluster(np.array(values)), seed=1)
    slow = stats.bootstrap((values,), np.mean, n_resamples=9999, method="percentile", batch=500, rng=2)
    # Monte Carlo noise of a 2.5 % quantile, 0.04 standard errors, and the grid on which the means lie.
    near = 0.2 * slow.standard_error + 1 / len(values)
    assert fast.low == pytest.approx(slow.confidence_interval.low, abs=near)
    assert fast.high == pytest.approx(slow.confidence_interval.high, abs=near)


def test_the_draws_fit_scipys_result_type_and_give_its_interval():
    groups = cluster(np.random.default_rng(0).choice([0, 0.5, 1], 120))
    drawn = draws.means(groups, resamples=2000, rng=draws.generator(9))
    values = np.repeat(groups.sums, groups.times)
    seeded = stats.bootstrap((values,), np.mean, n_resamples=2, method="percentile")
    seeded.bootstrap_distribution = drawn
    scipys = stats.bootstrap((values,), np.mean, n_resamples=0, bootstrap_result=seeded, method="percentile")
    ours = percentile(groups, resamples=2000, seed=9)
    assert (ours.low, ours.high) == pytest.approx(tuple(scipys.confidence_interval), abs=1e-12)


@pytest.mark.parametrize("values", [np.repeat([0, 1 / 3, 1], [40, 20, 60]), np.linspace(0, 1, 900) ** 3])
def test_draws_have_mean_and_variance_of_the_bootstrap(values):
    """Both ways of drawing: by count (three values) and by row (900 values)."""
    drawn = draws.means(cluster(values), resamples=20_000, rng=draws.generator(0))
    error = values.std() / np.sqrt(len(values))
    assert drawn.mean() == pytest.approx(values.mean(), abs=5 * error / np.sqrt(20_000))
    assert drawn.std() == pytest.approx(error, rel=0.03)


def test_clustered_draws_follow_resampled_clusters():
    rng = np.random.default_rng(3)
    labels = np.repeat(np.arange(40), rng.integers(1, 5, 40))
    values = (rng.random(len(labels)) < np.repeat(rng.random(40), np.bincount(labels))).astype(float)
    drawn = draws.means(cluster(values, labels), resamples=8000, rng=draws.generator(0))
    sums, sizes = np.bincount(labels, values), np.bincount(labels)
    picked = rng.integers(0, 40, (8000, 40))
    slow = sums[picked].sum(1) / sizes[picked].sum(1)
    assert np.quantile(drawn, [0.025, 0.5, 0.975]) == pytest.approx(np.quantile(slow, [0.025, 0.5, 0.975]), abs=0.012)


@given(st.integers(0, 40), st.integers(1, 60), st.sampled_from([0.8, 0.95, 0.99]))
@examples(max_examples=40, deadline=None)
def test_right_and_wrong_values_give_scipys_proportion_intervals(right, n, level):
    right = min(right, n)
    values = [1.0] * right + [0.0] * (n - right)
    for ci, name in (("auto", "wilson"), ("wilson", "wilson"), ("exact", "exact")):
        ours = estimate(values, settings=Settings(ci, level, FAST)).interval
        theirs = stats.binomtest(right, n).proportion_ci(level, method=name)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    ours = estimate(values, settings=Settings("beta", level, FAST)).interval
    low, high = stats.beta(right + 1, n - right + 1).interval(level)
    assert (ours.low, ours.high) == pytest.approx((min(low, right / n), max(high, right / n)), abs=1e-9)


def test_t_is_scipys_t_interval():
    values = np.random.default_rng(0).choice([0.2, 0.4, 0.9], 25)
    ours = estimate(values, settings=Settings("t")).interval
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_auto_takes_wilson_where_the_bootstrap_fails_and_says_so():
    few = estimate([1.0] * 95 + [0.0] * 5)
    assert few.interval.method == estimate([1.0] * 50 + [0.0] * 50).interval.method == "wilson"
    assert few.footnotes == ()  # right/wrong values have it in any case
    assert few.percentile.method == "percentile"
    assert estimate([2 / 3] * 50).footnotes == ("Wilson interval, because all item values are equal",)
    assert "fewer than 10" in estimate([1.0] * 95 + [0.5] * 5).footnotes[0]
    assert estimate([1.0] * 90 + [0.5] * 20).interval.method == "percentile"
    assert estimate([1.0] * 90 + [0.5] * 20, boolean=True).interval.method == "wilson"
    assert "clusters" in estimate([1.0, 0.5] * 30, [i // 7 for i in range(60)]).footnotes[0]


@pytest.mark.parametrize(("ci", "warned"), [("percentile", True), ("t", True), ("wilson", False), ("exact", False)])
def test_an_interval_that_was_asked_for_and_is_too_narrow_says_so(ci, warned):
    chosen = estimate([1.0] * 40, settings=Settings(ci=ci))
    assert bool(chosen.footnotes) is warned
    assert all("too narrow here, because all item values are equal" in note for note in chosen.footnotes)
    assert not estimate([1.0, 0.0] * 40, settings=Settings(ci=ci)).footnotes


def test_effective_n_grows_with_agreement_and_shrinks_with_clusters():
    thirds_n = effective_n(cluster(np.array([1 / 3, 2 / 3] * 50)), 0.95)
    assert thirds_n > 800  # values near the middle vary far less than right/wrong ones
    copies = np.repeat([1.0, 0.0, 1.0, 1.0], 25)
    assert effective_n(cluster(copies, np.arange(100) // 5), 0.95) < 20
    assert effective_n(cluster(copies), 0.95) == 100


def test_one_cluster_says_nothing():
    alone = estimate([1.0, 0.0, 1.0], ["x"] * 3, Settings("t"))
    assert (alone.interval.low, alone.interval.high) == (0.0, 1.0)
    assert alone.interval.standard_error is None
    assert alone.wilson.n_effective == 1


@pytest.mark.parametrize(
    ("values", "how", "error", "text"),
    [
        ([], Settings(), DataError, "no item values"),
        ([0.5, 1.2], Settings(), DataError, "1.2 at position 1"),
        ([0.5, float("nan")], Settings(), DataError, "nan"),
        ([[1, 0], [1, 1]], Settings(), ValueError, "values: an array of 1 dimension is needed, not of 2"),
        (["a"], Settings(), ValueError, "values: these are not numbers"),
        ([0.5], Settings("bca"), UsageError, "bca"),
        ([0.5], Settings(resamples=100_000_000), UsageError, "from 1 to 10000000"),
        ([0.5], Settings(level=95), UsageError, "level"),
        ([0.5], Settings(resamples=0), UsageError, "resamples"),
        ([0.5], Settings(seed=-1), UsageError, "seed"),
    ],
)
def test_bad_input_has_a_named_error(values, how, error, text):
    with pytest.raises(error, match=text):
        estimate(values, settings=how)


def test_cluster_labels_have_to_match():
    with pytest.raises(DataError, match="2 cluster labels for 3 items"):
        estimate([1, 0, 1], ["a", "b"])


def test_an_item_without_a_label_is_its_own_cluster():
    assert estimate([1, 0, 1, 0], [None, None, "a", "a"]).interval.n_clusters == 3


def test_one_label_written_in_two_ways_is_one_and_nan_is_none():
    assert estimate([1, 0, 1, 0], [1, "1", 1.0, True]).interval.n_clusters == 2
    with pytest.raises(ValueError, match="clusters: nan at position 0"):
        estimate([1, 0] * 10, [float("nan")] * 20)


def test_clusters_of_one_mean_are_not_called_equal_items():
    found = estimate([1, 0.5] * 20, [n // 20 for n in range(40)])
    assert found.interval.note == "Wilson interval, because all 2 clusters have the same mean"


@pytest.mark.parametrize(("share", "p"), [(40, 0.7), (60, 0.5), (80, 0.7), (90, 0.5)])
def test_one_large_cluster_keeps_its_level_and_is_never_narrower_than_none(share, p):
    """12 to 85 of 100 with the clusters' number as degrees of freedom and no correction for the large one."""
    rng, hits = np.random.default_rng(share), 0
    labels = np.maximum(np.arange(100) - share + 1, 0)
    for _ in range(300):
        chance = rng.beta(2 * p, 2 * (1 - p), labels[-1] + 1)
        values = (rng.random(100) < chance[labels]).astype(float)
        found = estimate(values, labels, Settings(resamples=20)).interval
        alone = estimate(values, settings=Settings(resamples=20)).interval
        hits += found.low <= p <= found.high
        assert found.half_width >= alone.half_width - 1e-9
    assert hits / 300 >= 0.93


def test_clusters_of_one_size_have_millers_error_and_c_minus_1_degrees():
    values, labels = np.random.default_rng(2).random(60), np.arange(60) // 5
    groups = cluster(values, labels)
    assert groups.freedom == pytest.approx(11)
    assert groups.cautious == pytest.approx(max(groups.variance, groups.unclustered))


def test_bell_and_mccaffrey_by_their_definition():
    """CR2 with its Satterthwaite degrees of freedom, from the full matrices of a regression on a constant."""
    labels = np.repeat(np.arange(6), [1, 2, 3, 8, 15, 40])
    values = np.random.default_rng(4).random(69) + labels / 20
    n, groups = len(labels), cluster(values / 2, labels)
    hat = np.full((n, n), 1 / n)
    residual = (np.eye(n) - hat) @ (values / 2)
    columns, variance = [], 0.0
    for each in range(6):
        own = labels == each
        eigen, vectors = np.linalg.eigh((np.eye(n) - hat)[np.ix_(own, own)])
        root = vectors @ np.diag(eigen**-0.5) @ vectors.T
        variance += (root @ residual[own]).sum() ** 2 / n**2
        columns.append((np.eye(n) - hat)[:, own] @ root @ np.full(own.sum(), 1 / n))
    products = np.array(columns) @ np.array(columns).T
    assert groups.cautious == pytest.approx(max(variance, groups.unclustered))
    assert groups.freedom == pytest.approx(np.trace(products) ** 2 / np.trace(products @ products))


def test_one_large_cluster_is_pointed_out():
    labels = [0] * 40 + list(range(1, 61))
    found = estimate([1.0, 0.0] * 50, labels)
    assert "one cluster holds 40 % of the items" in found.interval.note
    assert estimate([1.0, 0.0] * 50, [n // 20 for n in range(100)]).interval.note.count("one cluster holds") == 0
    assert estimate([1.0, 0.0] * 50).interval.note == ""


def test_too_few_resamples_for_the_level_are_pointed_out():
    values = [1.0, 0.5] * 50
    assert estimate(values, settings=Settings(resamples=100)).interval.note == (
        "100 resamples are too few for a 95 % interval"
    )
    assert "for a 99.99999 % interval" in estimate(values, settings=Settings(level=0.9999999)).interval.note
    assert "for a 99.99 % interval" in estimate(values, settings=Settings(level=0.9999)).interval.note
    assert estimate(values, settings=Settings(resamples=100, ci="wilson")).interval.note == ""
