from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from batchflow.errors import UsageError
from batchflow.score.base.bets import MOST, PRIOR, TIMES
from batchflow.score.base.clusters import cluster
from batchflow.score.intervals import wilson
from batchflow.score.sequential import differences, order, sequence, stages, stop


def capital(values, ends, mean, level, *, total=None, planned=None):
    """The slow twin: the capital of the mixture of bets on more than a mean, unit by unit."""
    capitals, first = np.ones(len(TIMES)), 0
    for last in ends:
        past = [0.5, *values[:first]]
        spread = float(np.mean([(each - np.mean(past)) ** 2 for each in past])) + PRIOR / len(past)
        sized = TIMES * np.sqrt(2 * np.log(2 / (1 - level)) / spread / (planned or 4 * (first + 50)))
        drift = 0 if total is None else (first * mean - sum(values[:first])) / (total - first)
        for value in values[first:last]:
            capitals *= 1 + np.minimum(sized, MOST / (mean + max(drift, 0))) * (value - mean - drift)
        first = last
    return capitals.mean()


@given(
    st.lists(st.sampled_from([0.0, 1 / 3, 1.0]), min_size=5, max_size=60),
    st.sampled_from([0.8, 0.95]),
    st.sampled_from([None, 40]),
)
@examples(max_examples=40, deadline=None)
def test_a_bound_is_where_the_capital_reaches_its_goal(values, level, planned):
    ends, goal, opposite = [4, len(values)], 2 / (1 - level), [1 - value for value in values]
    first, look = sequence(values, ends, level=level, planned=planned)
    assert 0 <= look.low <= look.mean + 1e-12
    assert look.mean - 1e-12 <= look.high <= 1
    if look.low > first.low:
        assert capital(values, ends, look.low, level, planned=planned) >= goal * (1 - 1e-6)
        assert capital(values, ends, look.low + 1e-5, level, planned=planned) < goal
    if look.high < first.high:
        assert capital(opposite, ends, 1 - look.high, level, planned=planned) >= goal * (1 - 1e-6)
        assert capital(opposite, ends, 1 - look.high + 1e-5, level, planned=planned) < goal


@given(st.lists(st.floats(0, 1), min_size=12, max_size=40), st.randoms(use_true_random=False))
@examples(max_examples=20, deadline=None)
def test_only_a_stage_counts_not_the_order_within_it_and_bounds_never_widen(values, shuffle):
    looks = [4, 8, len(values)]
    again = values[:4]
    shuffle.shuffle(again)
    found, other = sequence(values, looks), sequence(again + values[4:], looks)
    assert [a.low for a in found] == pytest.approx([b.low for b in other])
    assert [a.high for a in found] == pytest.approx([b.high for b in other])
    assert all(a.low <= b.low and b.high <= a.high for a, b in pairwise(found))


def test_it_holds_at_every_look_where_plain_intervals_fail():
    rng, looks, held, plain = np.random.default_rng(1), stages(600), 0, 0
    for _ in range(200):
        values = (rng.random(600) < 0.8).astype(float)
        held += all(look.low <= 0.8 <= look.high for look in sequence(values, looks))
        plain += all(w.low <= 0.8 <= w.high for w in (wilson(cluster(values[:end])) for end in looks))
    assert held / 200 >= 0.95
    assert plain / 200 < 0.9


def test_the_bounds_of_a_data_set_hold_its_own_mean_and_close_in_on_it():
    """With clusters of unequal size, some of which never get a value."""
    rng, held, narrower = np.random.default_rng(7), 0, 0
    for _ in range(150):
        sizes, failed = rng.integers(1, 5, 200), rng.random(200) < 0.1
        shares = np.where(rng.random(200) < 0.7, 1.0, rng.random(200))
        values = np.repeat(shares[~failed], sizes[~failed])
        labels = np.repeat(np.flatnonzero(~failed), sizes[~failed])
        ends = [int(sizes[:units][~failed[:units]].sum()) for units in (40, 80, 160, 200)]
        found = sequence(values, ends, clusters=labels, largest=4, total=200, counts=[40, 80, 160, 200])
        held += all(look.low - 1e-9 <= values.mean() <= look.high + 1e-9 for look in found)
        narrower += found[2].half_width < sequence(values, ends, clusters=labels, largest=4)[2].half_width / 1.1
        assert found[-1].low == found[-1].high == pytest.approx(values.mean())
    assert held / 150 >= 0.95
    assert narrower >= 145


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=9, max_size=40), st.integers(0, 60))
@examples(max_examples=30, deadline=None)
def test_a_bound_of_a_data_set_is_where_the_capital_reaches_its_goal(values, left):
    ends, total = [4, len(values)], len(values) + left + 1
    found = sequence(values, ends, total=total)
    assert found[0].low <= found[1].low <= found[1].high <= found[0].high
    if found[1].low > found[0].low:
        assert capital(values, ends, found[1].low, 0.95, total=total) >= 40 * (1 - 1e-6)
        assert capital(values, ends, found[1].low + 1e-5, 0.95, total=total) < 40


def test_clusters_hold_too_and_count_when_they_are_whole():
    rng, held = np.random.default_rng(2), 0
    for _ in range(150):
        sizes = rng.integers(1, 6, 150)
        labels = np.repeat(np.arange(150), sizes)
        values = (rng.random(150) < 0.7).astype(float)[labels]  # all items of a cluster alike
        found = sequence(values, stages(len(values)), clusters=labels, largest=5)
        held += all(look.low <= 0.7 <= look.high for look in found)
    assert held / 150 >= 0.94
    half = sequence([1.0, 1, 0, 0, 1, 1], [3, 6], clusters=[0, 0, 1, 1, 2, 2])
    assert [look.n for look in half] == [2, 6]


def test_a_clear_difference_saves_requests_and_none_is_hardly_ever_found():
    rng, looks, saved, decided = np.random.default_rng(3), stages(2000), [], 0
    for _ in range(60):
        which = rng.choice(3, 2000, p=[0.1, 0.05, 0.85])
        end = stop(differences(which == 0, which == 1, looks, planned=2000), decide=True)
        assert end.reason == "decided"
        assert end.last.low > 0
        saved.append(1 - end.last.n / 2000)
        even = rng.choice(3, 2000, p=[0.075, 0.075, 0.85])
        decided += stop(differences(even == 0, even == 1, looks, planned=2000), decide=True).reason == "decided"
    assert np.mean(saved) > 0.62
    assert decided <= 5


def test_a_study_stops_at_its_precision_or_when_items_run_out():
    found = sequence([1.0, 0.0] * 2000, stages(4000))
    precise = stop(found, precision=0.05)
    assert precise.reason == "precise"
    assert precise.last.half_width <= 0.05 < precise.looks[-2].half_width
    assert stop(found, precision=0.001).reason == "exhausted"
    assert stop(differences([1.0, 0.0] * 50, [0.0, 1.0] * 50, [100]), decide=True).reason == "exhausted"
    with pytest.raises(UsageError, match="precision, or when it has decided"):
        stop(found)


def test_the_order_is_random_seeded_and_whole():
    assert sorted(order(50, 3).tolist()) == list(range(50))
    assert (order(50, 3) == order(50, 3)).all()
    assert (order(50, 3) != order(50, 4)).any()
    assert stages(30) == (30,)
    assert all(a < b for n in range(40, 700) for a, b in pairwise(stages(n)))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: sequence([1, 0], [1, 3]), "looks: ascending numbers from 1 to 2"),
        (lambda: sequence([1, 0], []), "looks"),
        (lambda: sequence([1, 2], [2]), "values: item value 2"),
        (lambda: differences([1, 0], [1], [2]), "b: 1 values, and 2 are needed"),
        (lambda: stages(10, growth=1), "growth"),
        (lambda: sequence([1, 0], [2], planned=0), "planned is 0"),
        (lambda: sequence([1, 0], [2], total=1), "counts: ascending numbers of units, at most 1"),
        (lambda: sequence([1, 0, 1], [2, 3], total=9, counts=[2, 2]), "counts: at least"),
        (lambda: sequence([1, 0, 1], [2, 3], total=9, counts=[4, 3]), "counts: ascending"),
    ],
)
def test_bad_input_is_a_value_error(call, text):
    with pytest.raises(ValueError, match=text):
        call()
