"""Labels drawn by the jury's verdict: the allocation, the estimate, and that its interval holds what it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.errors import ArgumentError, DataError
from batchflow.score.labelled.calibration import ppi
from batchflow.score.labelled.gold import Design
from batchflow.score.labelled.stratified import allocate, ppi_stratified, strata_of, stratum_weights

SIZES = st.lists(st.integers(1, 400), min_size=1, max_size=6)


@given(SIZES, st.integers(0, 300))
def test_an_allocation_takes_what_is_asked_and_never_more_than_there_is(sizes, more):
    n = len(sizes) + more
    sample = allocate(sizes, n)
    assert sum(sample) == min(n, sum(sizes))
    assert all(1 <= own <= size for own, size in zip(sample, sizes, strict=True))
    if n >= 2 * len(sizes):
        assert all(took >= min(2, size) for took, size in zip(sample, sizes, strict=True))


def test_rare_strata_are_drawn_more_often_than_their_share():
    assert allocate([900, 80, 16, 4], 50) == [34, 10, 4, 2]
    with pytest.raises(ArgumentError, match="cannot be drawn from 3 strata"):
        allocate([5, 5, 5], 2)


def test_each_label_counts_for_the_answers_of_its_stratum():
    everyone = np.array([0.0] * 4 + [1.0] * 12)
    known = np.array([True] * 2 + [False] * 2 + [True] * 4 + [False] * 8)
    labels = np.array([1.0, 0.0, 1.0, 1.0, 1.0, 0.0])
    found = ppi_stratified(labels, everyone, known, everyone.tolist())
    assert found.score == pytest.approx(0.25 * 0.5 + 0.75 * 0.75)
    assert found.interval.low < found.score < found.interval.high
    weights = stratum_weights(known, everyone.tolist())
    assert weights[known].tolist() == [2.0, 2.0, 3.0, 3.0, 3.0, 3.0]
    assert found.score == pytest.approx(float(np.average(labels, weights=weights[known])))
    assert weights[~known].sum() == 0


def test_where_everything_is_labelled_the_jury_does_not_matter():
    rng = np.random.default_rng(3)
    labels, judged = (rng.random(60) < 0.7).astype(float), rng.random(60)
    found = ppi_stratified(labels, judged, np.ones(60, bool), (judged > 0.5).tolist())
    assert found.score == pytest.approx(labels.mean())
    assert found.interval.standard_error == pytest.approx(float(np.sqrt(labels.var() / 60)))


def test_numbers_use_the_jury_within_strata():
    """A jury that is right within strata leaves nothing to the labels but the items' own variance."""
    rng = np.random.default_rng(4)
    values = rng.random(400)
    known = np.zeros(400, bool)
    known[rng.choice(400, 60, replace=False)] = True
    found = ppi_stratified(values[known], values, known, np.floor(values * 3).tolist())
    assert found.weight == pytest.approx(1.0)
    assert found.score == pytest.approx(float(values.mean()))


def jury(rng, n, *, share, passes, fails):
    """(n,) truth, and the mean of three judges: `passes` of the wrong answers pass, `fails` of the right ones fail."""
    truth = (rng.random(n) < share).astype(float)
    error = np.where(truth == 1, fails, passes)
    together = rng.random(n) < error / 2
    votes = [np.where(together | (rng.random(n) < error / 2), 1 - truth, truth) for _ in range(3)]
    return truth, np.mean(votes, axis=0)


@pytest.mark.parametrize(("n", "labels", "plain_fails"), [(1000, 300, True), (186, 40, False)])
def test_the_interval_covers_where_a_plain_one_does_not(n, labels, plain_fails):
    """Property by simulation: 95 of 100, with Monte-Carlo error; the same labels without their weights miss."""
    rng, times, covered, plain = np.random.default_rng(5), 300, 0, 0
    for _ in range(times):
        truth, value = jury(rng, n, share=0.5, passes=0.7, fails=0.02)
        strata = np.ceil(value * 2 - 1e-9) + (value > 1 - 1e-9)
        names, sizes = np.unique(strata, return_counts=True)
        known = np.zeros(n, bool)
        for name, size in zip(names, allocate(sizes.tolist(), labels), strict=True):
            known[rng.choice(np.flatnonzero(strata == name), size, replace=False)] = True
        found = ppi_stratified(truth[known], value, known, strata.tolist())
        covered += found.interval.low <= 0.5 <= found.interval.high
        taken = ppi(truth[known], value[known], value[~known]).interval
        plain += taken.low <= 0.5 <= taken.high
    assert covered / times > 0.92
    assert not plain_fails or plain / times < 0.8


def test_a_stratum_without_a_label_is_refused_and_so_are_other_shapes():
    everyone, known = np.array([0.0, 0.0, 1.0, 1.0]), np.array([True, True, False, False])
    with pytest.raises(DataError, match="none of the 2 answers to which the jury gives 1"):
        ppi_stratified(np.array([0.0, 1.0]), everyone, known, everyone.tolist())
    with pytest.raises(ArgumentError, match="one value for each item"):
        ppi_stratified(np.array([0.0, 1.0]), everyone, known, [0.0])


def test_labels_beside_the_draw_are_told_and_a_chosen_lot_is_seen():
    everyone = np.array([0.0] * 50 + [1.0] * 50)
    known, drawn = np.zeros(100, bool), np.zeros(100, bool)
    drawn[[0, 1, 2, 50, 51, 52]] = known[[0, 1, 2, 50, 51, 52]] = True
    alone = ppi_stratified(np.array([0.0] * 3 + [1.0] * 3), everyone, known, everyone.tolist(), drawn=drawn)
    assert not any("outside the sheet" in note or "chosen at random:" in note for note in alone.footnotes)
    known[60:90] = True
    found = ppi_stratified(np.array([0.0] * 3 + [1.0] * 33), everyone, known, everyone.tolist(), drawn=drawn)
    assert any("30 of the labels are of answers outside the sheet" in note for note in found.footnotes)
    assert any("do not look chosen at random" in note for note in found.footnotes)


def test_an_item_without_a_stratum_takes_that_of_the_nearest_value():
    design = Design({"a": "low", "b": "high"})
    assert strata_of(design, ["a", "b", "c", "d"], np.array([0.1, 0.9, 0.2, 1.0])) == ["low", "high", "low", "high"]
    with pytest.raises(ArgumentError, match="for none of the items"):
        strata_of(design, ["x"], np.array([0.5]))
