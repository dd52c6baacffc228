from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from scipy import stats

from batchflow.errors import DataError, UsageError
from batchflow.score.base.significance import binomial_tail, holm, mcnemar, t_test
from batchflow.score.paired import Scored, compare, compare_all, detectable_difference, sample_size


def scored(name, values, items=None, clusters=None):
    values = np.asarray(values, float)
    return Scored(name, tuple(items or map(str, range(len(values)))), values, clusters)


def test_difference_and_error_are_the_paired_ones():
    rng = np.random.default_rng(0)
    x, y = rng.choice([0, 1 / 3, 2 / 3, 1], (2, 150))
    found = compare(scored("a", x), scored("b", y))
    assert found.difference == pytest.approx((x - y).mean())
    assert found.standard_error == pytest.approx(stats.sem(x - y))
    assert found.correlation == pytest.approx(np.corrcoef(x, y)[0, 1])
    told = stats.ttest_rel(x, y)
    assert found.p == pytest.approx(told.pvalue)
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(told.confidence_interval()))
    assert found.standard_error**2 == pytest.approx(
        found.unpaired_error**2 - 2 * found.correlation * stats.sem(x) * stats.sem(y)
    )
    slow = stats.bootstrap((x, y), lambda a, b: a.mean() - b.mean(), paired=True, vectorized=False,
                           n_resamples=1500, method="percentile", rng=1).confidence_interval  # fmt: skip
    assert (found.percentile.low, found.percentile.high) == pytest.approx(tuple(slow), abs=0.015)


def test_pairing_beats_two_intervals():
    base = np.random.default_rng(1).random(300) < 0.6
    better = base | (np.arange(300) % 12 == 0)
    found = compare(scored("a", better), scored("b", base))
    assert found.interval.low > 0
    assert found.standard_error < found.unpaired_error / 2


@given(st.integers(0, 60), st.integers(0, 60))
@examples(max_examples=60, deadline=None)
def test_mcnemar_is_the_binomial_test(b, c):
    exact, mid = mcnemar(b, c)
    assert exact == pytest.approx(stats.binomtest(b, b + c).pvalue if b + c else 1.0)
    assert 0 < mid <= exact
    if b != c:
        assert mid == pytest.approx(exact - stats.binom.pmf(min(b, c), b + c, 0.5))


def test_mcnemar_table_adds_up():
    found = compare(scored("a", [1, 1, 1, 0, 0]), scored("b", [1, 0, 0, 1, 0]))
    table = found.mcnemar
    assert (table.both, table.only_a, table.only_b, table.neither) == (1, 2, 1, 1)
    assert table.p == 1.0


def test_b_minus_a_is_the_mirror_of_a_minus_b():
    rng = np.random.default_rng(6)
    for kind in ([0, 1], [0, 1 / 3, 2 / 3, 1]):
        a, b = (scored(name, rng.choice(kind, 120), clusters=None) for name in "ab")
        for one, other in ((a, b), (replace(a, clusters=[n // 4 for n in range(120)]), b)):
            there, back = compare(one, other), compare(other, one)
            assert (there.difference, there.p, there.mean_a) == (-back.difference, back.p, back.mean_b)
            for method in ("interval", "percentile"):
                bounds, mirrored = getattr(there, method), getattr(back, method)
                assert (bounds.low, bounds.high) == (-mirrored.high, -mirrored.low)


@given(st.integers(0, 2**32), st.sampled_from([0.02, 0.1, 0.3]), st.sampled_from([1, 3]), st.sampled_from([0, 4, 25]))
@examples(max_examples=120, deadline=None)
def test_interval_and_p_never_contradict_each_other(seed, gap, judges, size):
    rng = np.random.default_rng(seed)
    x, y = rng.binomial(judges, 0.6 + gap, 100) / judges, rng.binomial(judges, 0.6, 100) / judges
    labels = [n // size for n in range(100)] if size else None
    found = compare(scored("a", x, clusters=labels), scored("b", y), resamples=20)
    assert (found.p < 0.05) is not (found.interval.low <= 0 <= found.interval.high)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@examples(deadline=None)
def test_holm_by_its_definition(p):
    order = sorted(range(len(p)), key=lambda i: p[i])
    expected, running = [0.0] * len(p), 0.0
    for step, index in enumerate(order):
        running = max(running, min(1.0, (len(p) - step) * p[index]))
        expected[index] = running
    assert holm(p) == pytest.approx(expected)


def test_tails_are_scipys():
    assert binomial_tail(7, 20, 0.3) == pytest.approx(stats.binom.sf(6, 20, 0.3))
    assert t_test(0.1, 0.0025, 9) == pytest.approx(2 * stats.t.sf(2, 9))
    assert t_test(1.0, 0.0, 4) == pytest.approx(2 * 0.5**5)


def test_few_differences_never_give_a_width_of_zero():
    same = compare(scored("a", [1.0] * 30), scored("b", [1.0] * 30))
    assert same.interval.method == "agresti-min"
    assert same.interval.low < 0 < same.interval.high
    assert (same.p, same.detectable, same.correlation) == (1.0, None, None)
    few = compare(scored("a", [1.0] * 30), scored("b", [1.0] * 27 + [0.0] * 3))
    assert few.interval.low < 0 < few.interval.high
    assert "only 3 of 30" in few.interval.note


def test_agresti_min_worked_by_hand():
    """n = 20, a alone right on 4, b alone on 1: with two pseudo-items 3/22 ± 1.96 · √(6/22 - (3/22)²) / √22."""
    found = compare(scored("a", [1] * 4 + [0] * 16), scored("b", [0] * 4 + [1] + [0] * 15))
    half = 1.959964 * np.sqrt((6 / 22 - (3 / 22) ** 2) / 22)
    assert (found.interval.low, found.interval.high) == pytest.approx((3 / 22 - half, 3 / 22 + half), abs=1e-6)


@pytest.mark.parametrize("count", [2, 3, 6, 9])
@pytest.mark.parametrize("shift", [0.0, 0.01, 0.05, 0.3])
def test_the_interval_of_few_clusters_says_what_their_test_says(count, shift):
    rng = np.random.default_rng(count)
    effect = np.repeat(shift + rng.normal(0, 0.01, count), 50)
    labels = [i // 50 for i in range(50 * count)]
    found = compare(scored("a", 0.5 + effect, clusters=labels), scored("b", np.full(50 * count, 0.5)))
    assert found.interval.method == "t"
    assert (found.p < 0.05) is not (found.interval.low <= 0 <= found.interval.high)
    half = stats.t.ppf(0.975, count - 1) * found.standard_error
    assert found.interval.high - found.difference == pytest.approx(half)
    assert f"t interval over {count} clusters, which are few" in found.interval.note


@pytest.mark.parametrize("count", [2, 5, 6, 12])
def test_clusters_that_all_differ_alike_do_not_contradict_their_test(count):
    labels = [i // 10 for i in range(10 * count)]
    found = compare(scored("a", [0.75] * 10 * count, clusters=labels), scored("b", [0.5] * 10 * count))
    assert found.interval.low < 0.25 < found.interval.high <= 0.75
    assert (found.p < 0.05) is (found.interval.low >= 0)


def test_clusters_widen_the_error():
    rng = np.random.default_rng(5)
    effect = np.repeat(rng.normal(0, 0.3, 30), 5)
    x, y = np.clip(0.5 + effect, 0, 1), np.full(150, 0.5)
    loose = compare(scored("a", x), scored("b", y))
    tight = compare(scored("a", x, clusters=[i // 5 for i in range(150)]), scored("b", y))
    assert tight.standard_error > 2 * loose.standard_error
    assert tight.interval.n_clusters == 30


def test_items_of_only_one_model_are_listed():
    found = compare(scored("a", [1, 0, 1], "xyz"), scored("b", [1, 1, 0], "wxy"))
    assert (found.n, found.only_in_a, found.only_in_b) == (2, ("z",), ("w",))
    with pytest.raises(DataError, match="no item in common"):
        compare(scored("a", [1], "x"), scored("b", [1], "y"))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: sample_size(0, 0.1), "difference"),
        (lambda: sample_size(0.1, -0.2), "variance"),
        (lambda: detectable_difference(100, -1.0), "between"),
        (lambda: detectable_difference(0, 0.1), "n is 0"),
        (lambda: mcnemar(-1, 3), "only_a"),
        (lambda: holm([0.1, 1.5]), "p: item value 1.5"),
    ],
)
def test_what_cannot_be_computed_is_a_value_error_with_the_arguments_name(call, name):
    with pytest.raises(ValueError, match=name):
        call()


def test_detectable_difference_is_millers():
    rng = np.random.default_rng(0)
    found = compare(scored("a", rng.random(500) < 0.7), scored("b", rng.random(500) < 0.5))
    assert found.detectable == pytest.approx(2.8016 * found.standard_error, rel=1e-3)
    assert detectable_difference(100, 0.25) == pytest.approx(2.8016 * 0.05, rel=1e-3)


def test_rank_ranges_come_from_the_paired_tests():
    easy = np.arange(200) / 200
    good, near, poor = easy < 0.8, easy < 0.79, easy < 0.3
    found = compare_all([scored("poor", poor), scored("good", good), scored("near", near)])
    assert [(row.name, row.best, row.worst) for row in found.ranks] == [("good", 1, 2), ("near", 1, 2), ("poor", 3, 3)]
    assert len(found.pairs) == 3
    assert all(pair.p_holm >= pair.p for pair in found.pairs)


def test_bad_models_are_refused():
    with pytest.raises(UsageError, match="two models"):
        compare_all([scored("a", [1])])
    with pytest.raises(DataError, match="id of its own"):
        scored("a", [1, 0], "xx")
    with pytest.raises(DataError, match="1 cluster labels"):
        scored("a", [1, 0], clusters=["c"])
    with pytest.raises(UsageError, match="power"):
        compare(scored("a", [1, 0]), scored("b", [0, 1]), power=1.5)


def test_same_seed_same_result():
    x, y = np.random.default_rng(0).random((2, 80))
    assert compare(scored("a", x), scored("b", y), seed=4) == compare(scored("a", x), scored("b", y), seed=4)


def test_a_difference_from_few_resamples_or_one_large_cluster_says_so():
    rng, ids = np.random.default_rng(3), tuple(map(str, range(100)))
    labels = [0] * 40 + list(range(1, 61))
    a, b = (Scored(name, ids, rng.binomial(3, 0.6, 100) / 3, labels) for name in "ab")
    found = compare(a, b, resamples=50)
    assert "one cluster holds 40 %" in found.interval.note
    assert "50 resamples are too few" in found.percentile.note
