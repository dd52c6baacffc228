import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from batchflow.records import Level
from batchflow.score.agreement import (
    Tallies,
    Trial,
    agree,
    alpha,
    alpha_interval,
    cohen_kappa,
    fleiss_kappa,
    independent_judges,
    nominal_alpha,
    value_alpha,
    value_alpha_interval,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # evalica warns where its compiled part is missing
    import evalica
    import pandas as pd

votes_arrays = hnp.arrays(
    np.int8, st.tuples(st.integers(2, 4), st.integers(3, 15)), elements=st.sampled_from([1, 0, -1])
)


@given(votes_arrays)
@examples(max_examples=60, deadline=None)
def test_alpha_is_evalicas(votes):
    ours = alpha(votes)
    usable = votes[:, (votes >= 0).sum(axis=0) >= 2]
    if ours is None:
        assert usable.size == 0 or len(set(usable[usable >= 0].tolist())) < 2
        return
    frame = pd.DataFrame(np.where(votes < 0, np.nan, votes))
    assert ours == pytest.approx(evalica.alpha(frame, distance="nominal", solver="naive").alpha, abs=1e-6)


def test_alpha_interval_is_that_of_resampled_items():
    rng = np.random.default_rng(0)
    truth = rng.random(120) < 0.6
    votes = np.where(rng.random((3, 120)) < 0.9, truth, ~truth).astype(np.int8)
    found = alpha_interval(votes, seed=1)
    slow = [alpha(votes[:, rng.integers(0, 120, 120)]) for _ in range(3000)]
    assert (found.low, found.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.015)
    assert found.low < alpha(votes) < found.high
    assert found == alpha_interval(votes, seed=1)


def test_kappas_against_their_definition():
    a, b = np.array([1, 1, 0, 0, 1], np.int8), np.array([1, 0, 0, 0, 1], np.int8)
    assert cohen_kappa(a, b) == pytest.approx((0.8 - 0.48) / 0.52)  # chance: .6·.4 + .4·.6
    assert cohen_kappa(a, a) == 1
    assert cohen_kappa(np.ones(3, np.int8), np.ones(3, np.int8)) is None
    assert fleiss_kappa(np.array([[3, 0], [0, 3]])) == 1
    assert fleiss_kappa(np.array([[3, 0]])) is None


def test_a_judge_that_is_often_alone_is_named():
    rng = np.random.default_rng(2)
    truth = rng.random(200) < 0.5
    noise = np.array([0.02, 0.02, 0.02, 0.3])[:, None]
    votes = np.where(rng.random((4, 200)) < noise, ~truth, truth).astype(np.int8)
    found = agree(("a", "b", "c", "odd"), votes)
    assert found.apart == ("odd",)
    odd = found.dissent[3]
    assert odd.alone > 30 > odd.expected


def test_judges_alike_are_named_at_most_at_the_error_rate():
    named = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        votes = (rng.random((3, 120)) < 0.1).astype(np.int8)
        named += bool(agree(("a", "b", "c"), votes, resamples=9).apart)
    assert named <= 20  # 5 % of 200 is 10; three standard errors above


def test_independent_judges_counts_shared_errors_once():
    rng = np.random.default_rng(0)
    labels = (rng.random(4000) < 0.5).astype(np.int8)
    own = rng.random((3, 4000)) < 0.1
    free = np.where(own, 1 - labels, labels).astype(np.int8)
    assert independent_judges(free, labels).worth == pytest.approx(3, abs=0.2)
    copied = np.where(own[0], 1 - labels, labels).astype(np.int8)
    assert independent_judges(np.stack([copied] * 3), labels).worth == pytest.approx(1)
    assert independent_judges(np.stack([labels] * 3), labels) is None
    silent = np.full_like(labels, -1)
    assert independent_judges(np.stack([*free, silent]), labels) == independent_judges(free, labels)
    assert independent_judges(np.stack([silent] * 3), labels) is None


def test_a_judge_without_errors_is_not_among_the_independent_ones():
    rng = np.random.default_rng(1)
    labels = (rng.random(500) < 0.5).astype(np.int8)
    erring = np.where(rng.random((2, 500)) < 0.2, 1 - labels, labels).astype(np.int8)
    found = agree(("a", "b", "perfect"), np.stack([*erring, labels]), labels=labels)
    assert found.independent_among == 2
    assert found.independent == pytest.approx(2, abs=0.3)
    assert found.accuracy[2] == 1


def test_judges_of_a_pool_are_paired_where_both_voted():
    rng = np.random.default_rng(3)
    labels = (rng.random(3000) < 0.5).astype(np.int8)
    shared = rng.random(3000) < 0.1  # errors that all make, beside those of their own
    pool = np.where(shared | (rng.random((4, 3000)) < 0.1), 1 - labels, labels).astype(np.int8)
    whole = independent_judges(pool, labels)
    pool[np.arange(3000) % 4, np.arange(3000)] = -1  # as in layton-eval: nobody judges a model of the own vendor
    found = independent_judges(pool, labels)
    assert found.among == 4
    assert found.correlation == pytest.approx(whole.correlation, abs=0.05)
    assert found.worth == pytest.approx(whole.worth, abs=0.2)


def test_labelled_answers_of_other_models_count_where_there_are_none_of_its_own():
    votes = np.array([[1, 1, 0], [1, 0, 0]], np.int8)
    others = Trial(np.array([[1, 0, -1, 1], [1, 1, -1, -1]], np.int8), np.array([1, 1, 1, 0], np.int8))
    found = agree(("a", "b"), votes, elsewhere=others)
    assert (found.gold_basis, found.gold_labels, found.accuracy) == ("others", 3, (pytest.approx(1 / 3), 1.0))
    own = agree(("a", "b"), votes, labels=np.array([1, -1, -1], np.int8), elsewhere=others)
    assert (own.gold_basis, own.gold_labels, own.accuracy) == ("own", 1, (1.0, 1.0))
    nobody = Trial(np.full((2, 4), -1, np.int8), others.labels)
    assert agree(("a", "b"), votes, elsewhere=nobody).gold_basis is None


def test_gold_labels_give_each_judges_accuracy():
    votes = np.array([[1, 1, 0, -1], [1, 0, 0, 1]], np.int8)
    found = agree(("a", "b"), votes, labels=np.array([1, 1, -1, 0], np.int8))
    assert found.accuracy == (1.0, pytest.approx(1 / 3))
    assert agree(("a", "b"), votes).accuracy is None


def test_a_lone_judge_has_no_agreement():
    found = agree(("a",), np.array([[1, 0, 1]], np.int8))
    assert (found.alpha, found.alpha_interval, found.fleiss, found.unanimous, found.pairs) == (None,) * 4 + ((),)
    assert found.dissent[0].p == 1


def test_full_agreement_has_no_interval_of_width_0():
    votes = np.array([[1, 0, 1, 1]] * 3, np.int8)
    assert (alpha(votes), alpha_interval(votes)) == (1.0, None)
    votes[0, 0] = 0
    assert alpha_interval(votes).half_width > 0


def coincidence_alpha(votes, scale):
    """α as Krippendorff 2011 defines it, by the matrix of coincidences, for a few values."""
    units = [[v for v in column if v >= 0] for column in votes.T.tolist()]
    units = [unit for unit in units if len(unit) > 1]
    values = sorted({v for unit in units for v in unit})
    if len(values) < 2:
        return None
    o = {(c, k): 0.0 for c in values for k in values}
    for unit in units:
        for i, c in enumerate(unit):
            for j, k in enumerate(unit):
                o[c, k] += (i != j) / (len(unit) - 1)
    n = {c: sum(o[c, k] for k in values) for c in values}

    def apart(c, k):
        if scale is Level.INTERVAL:
            return (c - k) ** 2
        low, high = sorted((c, k))
        return (sum(n[g] for g in values if low <= g <= high) - (n[c] + n[k]) / 2) ** 2

    total = sum(n.values())
    observed = sum(o[c, k] * apart(c, k) for c in values for k in values) / total
    expected = sum(n[c] * n[k] * apart(c, k) for c in values for k in values) / (total * (total - 1))
    return 1 - observed / expected


number_arrays = hnp.arrays(
    np.float64,
    st.tuples(st.integers(2, 4), st.integers(1, 8)),
    elements=st.sampled_from([0.0, 0.2, 0.5, 1.0, -1.0, -2.0]),
)


@pytest.mark.parametrize("scale", [Level.ORDINAL, Level.INTERVAL])
@given(votes=number_arrays)
@examples(max_examples=100, deadline=None)
def test_alpha_of_numbers_is_as_defined(scale, votes):
    slow, ours = coincidence_alpha(votes, scale), value_alpha(votes, scale)
    assert (slow is None) == (ours is None)
    assert ours == (None if slow is None else pytest.approx(slow, abs=1e-9))


def test_alpha_of_two_numbers_is_that_of_right_and_wrong():
    votes = np.array([[1, 1, 0, 0, -1], [1, 0, 0, 1, 1], [1, 1, 0, 0, 0]], np.int8)
    assert value_alpha(votes.astype(float), Level.INTERVAL) == pytest.approx(alpha(votes))


def test_alpha_interval_of_numbers_is_that_of_resampled_items():
    rng = np.random.default_rng(0)
    votes = np.clip(rng.random(100) + rng.normal(0, 0.1, (3, 100)), 0, 1)
    found = value_alpha_interval(votes, Level.INTERVAL, seed=1)
    slow = [value_alpha(votes[:, rng.integers(0, 100, 100)], Level.INTERVAL) for _ in range(1500)]
    assert (found.low, found.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.015)
    jury = agree(("a", "b", "c"), votes, scale=Level.INTERVAL)
    assert (jury.alpha_interval.method, jury.fleiss, jury.dissent, len(jury.pairs)) == ("percentile", None, (), 3)


def test_votes_that_are_none_are_a_value_error():
    with pytest.raises(ValueError, match=r"votes: 2 at position \[0, 2\]"):
        agree(("a", "b"), np.array([[0, 1, 2], [0, 1, 1]]))
    with pytest.raises(ValueError, match="votes: 2"):
        alpha(np.array([[0, 1, 2], [0, 1, 1]]))
    with pytest.raises(ValueError, match="votes: an array of 2 dimensions"):
        agree(("a",), np.array([0, 1]))
    with pytest.raises(ValueError, match="votes: 2 values, and 3 are needed"):
        agree(("a", "b", "c"), np.array([[0, 1], [1, 1]]))
    with pytest.raises(ValueError, match="lies outside 0"):
        value_alpha(np.array([[0.5, 1.5], [0.2, 0.1]]), Level.INTERVAL)


def test_the_interval_of_alpha_from_few_items_says_that_it_is_too_narrow():
    votes = np.random.default_rng(0).binomial(1, 0.7, (3, 60))
    assert alpha_interval(votes, resamples=99).note == ""
    assert "from 20 items is too narrow" in alpha_interval(votes[:, :20], resamples=99).note


@given(
    hnp.arrays(np.int8, st.tuples(st.integers(1, 60), st.integers(1, 5)), elements=st.sampled_from([1, 1, 0, -1, -2])),
    st.integers(1, 40),
)
def test_agreement_by_patterns_is_that_of_the_items_to_the_last_bit(rows, times):
    votes = np.tile(rows, (times, 1)).T
    counts = np.column_stack([(votes == 0).sum(axis=0), (votes == 1).sum(axis=0)])
    several = counts[counts.sum(axis=1) >= 2]
    tallies = Tallies(votes)
    assert tallies.alpha == nominal_alpha(counts)
    assert tallies.fleiss == fleiss_kappa(counts[counts.sum(axis=1) == len(votes)])
    assert tallies.unanimous == (float((several == 0).any(axis=1).mean()) if len(several) else None)
