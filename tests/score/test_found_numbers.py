"""Conclusions that were wrong once, as they were found; the other ones are held where docs/statistics.md lists them."""

import numpy as np
import pytest

from batchflow.score import (
    Scored,
    allocated,
    compare,
    estimate,
    for_labels,
    layton,
    mcnemar,
    ppi,
    sample_size,
    votes_from,
)
from batchflow.score.labelled.layton import Bin
from batchflow.score.planning.designs import label_levers
from batchflow.score.sequential import refuted


def test_six_clusters_say_the_same_by_interval_and_test():
    """+5.2, interval -20.7 to 28.4 and p 5e-6 stood in one row: 1,800 items of 6 categories."""
    rng = np.random.default_rng(0)
    shift = np.repeat([0.06, 0.05, 0.045, 0.055, 0.05, 0.052], 300)
    ids, labels = tuple(map(str, range(1800))), np.repeat(np.arange(6), 300).tolist()
    a, b = (np.clip(0.5 + part + rng.normal(0, 0.05, 1800), 0, 1) for part in (shift, 0.0))
    found = compare(Scored("a", ids, a, labels), Scored("b", ids, b, labels))
    assert found.difference == pytest.approx(0.052, abs=0.005)
    assert found.p < 1e-4
    assert 0 < found.interval.low < found.interval.high < 0.07
    assert found.detectable < found.interval.half_width * 2


def test_thirty_labels_that_confirm_the_jury_leave_its_score_inside():
    """Votes 90.3, all 30 labels as the jury says: corrected to 100.0 [90.8 - 100.0], which excludes 90.3."""
    judged = np.array([1.0] * 30 + [1.0] * 250 + [0.0] * 30)
    found = ppi(np.ones(30), judged[:30], judged[30:])
    assert found.interval.low < judged.mean() < found.interval.high
    assert found.score == pytest.approx(judged.mean(), abs=0.01)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: estimate(np.array([[1, 0], [1, 1], [0, 1]] * 20)), "values"),
        (lambda: votes_from(["a"], ["1"], [[0.9]], [[1]]), "0.9"),
        (lambda: ppi(np.array([1.0, np.nan]), np.ones(2), np.ones(3)), "labels"),
        (lambda: ppi(np.ones(3), np.ones(2), np.ones(3)), "judged"),
        (lambda: ppi(np.ones(2), np.ones(2), np.array([2.0])), "unlabelled"),
        (lambda: estimate([1, 0, 1, 0] * 5, [float("nan")] * 20), "clusters"),
        (lambda: sample_size(0, 0.1), "difference"),
        (lambda: sample_size(0.1, -784), "variance"),
        (lambda: mcnemar(-1, 2), "only_a"),
        (lambda: allocated(10, [-1, 2]), "spreads"),
        (lambda: for_labels(-1, 0.5, 100, 0.02), "variance"),
        (lambda: for_labels(0.2, 0.5, 0, 0.02), "items"),
        (lambda: for_labels(0.2, 1.5, 100, 0.02), "correlation"),
        (lambda: label_levers(0.2, 0.5, 100, 0), "labels"),
        (lambda: layton(()), "bins"),
        (lambda: layton((Bin(3, 3, 5, 0, 0),)), "bins"),
        (lambda: refuted([1, 0], [2], [float("nan")]), "means"),
    ],
)
def test_input_that_gave_a_number_is_a_value_error_with_the_arguments_name(call, name):
    with pytest.raises(ValueError, match=name):
        call()
