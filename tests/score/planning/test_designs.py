"""Designs against known answers and in simulation: the half-width that a plan promises is reached."""

from __future__ import annotations

import numpy as np
import pytest

from batchflow.errors import ArgumentError, DataError
from batchflow.score import ppi
from batchflow.score.intervals import Settings, estimate
from batchflow.score.planning.components import Components, assumed
from batchflow.score.planning.designs import allocated, for_difference, for_labels, for_precision, label_levers, levers


def votes(rng, found, items, samples, judges):
    """Values of items from normal effects with these components."""
    item = rng.normal(found.mean, found.items**0.5, (1, items, 1))
    cube = item + rng.normal(0, (found.samples or 0) ** 0.5, (1, items, samples))
    cube = cube + rng.normal(0, (found.disagreement or 0) ** 0.5, (judges, items, 1))
    return (cube + rng.normal(0, found.rest**0.5, (judges, items, samples))).mean(axis=(0, 2))


@pytest.mark.parametrize(("samples", "judges"), [(1, 1), (1, 3), (3, 2)])
def test_the_planned_half_width_is_reached(samples, judges):
    found, rng = Components(0.5, 0.003, 0.002, 0.0, 0.0015, 0.004), np.random.default_rng(1)
    design = for_precision(found, 0.015, samples, judges)
    widths = []
    for _ in range(200):
        values = votes(rng, found, design.items, samples, judges)
        widths.append(estimate(values, settings=Settings("t", resamples=99)).interval.half_width)
    assert np.mean(widths) == pytest.approx(0.015, rel=0.05)
    assert design.half_width <= 0.015
    assert found.half_width(design.items - 1, samples, judges) > 0.015


def test_the_planned_power_is_reached():
    found, rng = assumed(0.7, stability=1.0).difference(0.5), np.random.default_rng(2)
    design = for_difference(found, 0.05, 1, 1, power=0.8)
    gaps = rng.normal(0.05, found.of_item(1, 1) ** 0.5, (2_000, design.items))
    z = gaps.mean(axis=1) / (gaps.std(axis=1, ddof=1) / design.items**0.5)
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.8, abs=0.03)


def test_the_planned_labels_reach_the_half_width_of_a_corrected_score():
    rng, p, error, items = np.random.default_rng(3), 0.7, 0.1, 5_000
    rho = np.corrcoef(*_jury(rng, p, error, 200_000))[0, 1]
    need = for_labels(p * (1 - p), rho, items, 0.03)
    widths = []
    for _ in range(40):
        truth, jury = _jury(rng, p, error, items)
        widths.append(ppi(truth[: need.count], jury[: need.count], jury[need.count :]).interval.half_width)
    assert np.mean(widths) == pytest.approx(0.03, rel=0.08)
    assert for_labels(0.21, 0.9, 100, 0.01).count is None
    with pytest.raises(DataError, match="correlation is 2"):
        for_labels(0.21, 2, 100, 0.01)


def _jury(rng, p, error, items):
    truth = rng.random(items) < p
    return truth.astype(float), (truth != (rng.random(items) < error)).astype(float)


def test_labels_go_where_the_jury_explains_least():
    assert allocated(10, [0.3, 0.3, 0.3]) == (4, 3, 3)
    assert allocated(7, [0.0, 0.0]) == (3, 3)
    spreads = np.array([0.4, 0.2])
    best = min(range(1, 90), key=lambda n: spreads[0] ** 2 / n + spreads[1] ** 2 / (90 - n))
    assert allocated(90, spreads.tolist()) == (best, 90 - best)
    with pytest.raises(ArgumentError):
        allocated(0, [1.0])


def test_the_best_lever_is_the_one_that_pays():
    alike = Components(0.5, 0.05, 0.05, 0.0, 0.0, 0.0)
    assert levers(alike, 100, 1, 3, vote_share=0.5)[0].name == "items"
    odd_judges = Components(0.5, 0.05, 0.0, 0.02, 0.0, 0.0)
    first, *_ = levers(odd_judges, 2_000, 1, 2, vote_share=0.5)
    assert (first.name, first.half_width) == (
        "judges",
        pytest.approx(1.96 * (0.05 / 2_000 + 0.02 / 4) ** 0.5, rel=1e-3),
    )
    assert [each.name for each in levers(Components(0.5, 0.1, None, None, None, 0), 9, 1, 1, vote_share=1)] == ["items"]
    assert label_levers(0.21, 0.5, 1_000, 50)[0].name == "labels"
    assert label_levers(0.21, 0.99, 200, 190)[0].name == "items"
