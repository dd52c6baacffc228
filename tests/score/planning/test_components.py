"""Variance components against a textbook's algebra, known truths in simulation, and hostile input."""

from __future__ import annotations

import numpy as np
import pytest

from batchflow.errors import DataError
from batchflow.score.planning.components import Components, assumed, components


def drawn(rng, *, items=400, samples=3, judges=4, sd=(0.10, 0.06, 0.03, 0.05, 0.08)):
    """Votes with known components, and the item of each answer."""
    i, s, j, ij, r = sd
    cube = 0.5 + rng.normal(0, i, (1, items, 1)) + rng.normal(0, s, (1, items, samples))
    cube = cube + rng.normal(0, j, (judges, 1, 1)) + rng.normal(0, ij, (judges, items, 1))
    cube = np.clip(cube + rng.normal(0, r, (judges, items, samples)), 0, 1)
    return cube.reshape(judges, -1), np.repeat(np.arange(items), samples).tolist()


def test_known_components_come_out():
    rng = np.random.default_rng(5)
    found = [components(*drawn(rng)) for _ in range(20)]
    truth = {"items": 0.10, "samples": 0.06, "disagreement": 0.05, "rest": 0.08}
    for name, sd in truth.items():
        assert np.mean([getattr(each, name) for each in found]) ** 0.5 == pytest.approx(sd, rel=0.05), name
    assert np.mean([each.judges for each in found]) ** 0.5 == pytest.approx(0.03, rel=0.35)  # 4 judges a pilot
    assert {(each.n_items, each.n_samples, each.n_judges) for each in found} == {(400, 3, 4)}


def test_mean_squares_add_up_to_the_whole():
    votes, item_of = drawn(np.random.default_rng(1), items=30)
    found = components(votes, item_of)
    n, k, m = 30, 3, 4
    total = votes.reshape(-1).var(ddof=0) * votes.size
    ms_rest = found.rest
    ms_pairs = ms_rest + k * found.disagreement
    ms_samples = ms_rest + m * found.samples
    ms_items = ms_samples + ms_pairs - ms_rest + m * k * found.items
    ms_judges = ms_pairs + n * k * found.judges
    sums = ms_items * (n - 1) + ms_samples * n * (k - 1) + ms_judges * (m - 1) + ms_pairs * (n - 1) * (m - 1)
    assert sums + ms_rest * n * (k - 1) * (m - 1) == pytest.approx(total)


@pytest.mark.parametrize(("samples", "judges"), [(1, 1), (1, 3), (2, 1)])
def test_what_one_sample_or_one_judge_cannot_show_is_none(samples, judges):
    votes, item_of = drawn(np.random.default_rng(2), samples=samples, judges=judges)
    found = components(votes, item_of)
    assert (found.samples is None, found.judges is None) == (samples == 1, judges == 1)
    values = votes.mean(axis=0).reshape(-1, samples).mean(axis=1)
    assert found.of_item(samples, judges) == pytest.approx(values.var(ddof=1), rel=1e-9)


def test_incomplete_answers_are_left_out_and_items_cut_to_what_most_have():
    votes, item_of = drawn(np.random.default_rng(3), items=20)
    votes[0, 0] = np.nan
    found = components(votes, item_of)
    assert (found.n_items, found.n_samples) == (19, 3)
    assert components(votes[:, 3:], item_of[3:]).items == pytest.approx(found.items)
    with pytest.raises(DataError, match="variance needs two"):
        components([[1.0, np.nan]])
    with pytest.raises(DataError, match="two dimensions"):
        components([1.0, 0.0])


def test_a_difference_and_another_scale():
    one = Components(0.8, 0.1, 0.04, 0.01, 0.02, 0.03)
    two = one.difference(0.25)
    assert (two.items, two.samples, two.judges, two.disagreement, two.rest) == pytest.approx(
        (0.15, 0.08, 0, 0.04, 0.06)
    )
    assert one.scaled(2).items == pytest.approx(0.4)
    assert one.of_score(10, 2, 2, any_judges=True) - one.of_score(10, 2, 2) == pytest.approx(0.005)


def test_assumed_components_are_those_of_simulated_judges():
    rng = np.random.default_rng(4)
    found = assumed(0.8, stability=0.6, error=0.1, shared=0.0)
    item = rng.beta(0.8 * 2 / 3, 0.2 * 2 / 3, 60_000)  # ICC 0.6
    truth = rng.random((2, 60_000)) < item
    votes = np.array([(truth != (rng.random(truth.shape) < 0.1)).T.reshape(-1) for _ in range(2)], dtype=float)
    seen = components(votes, np.repeat(np.arange(60_000), 2).tolist())
    for name in ("items", "samples", "rest"):
        assert getattr(seen, name) == pytest.approx(getattr(found, name), abs=0.004), name
    with pytest.raises(DataError, match=r"error is 0\.5"):
        assumed(0.8, error=0.5)


def test_votes_that_are_all_alike_are_no_proof_of_no_variance():
    split = components([[0.0] * 4] * 3)
    share = 2 / 8
    assert (split.alike, split.items) == (True, pytest.approx(share * (1 - share)))
    assert components([[1.0] * 96]).items == pytest.approx(0.98 * 0.02)
    assert not components([[1.0, 1.0, 0.0]]).alike
