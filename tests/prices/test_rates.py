from __future__ import annotations

import random

import pytest

from batchflow.prices.rates import BAND, FREE, Band, Quote, Rate, Step, band_of

TIERED = Rate((Step(0, 0.05, 0.005, 0.0625, 0.1, 0.25), Step(100_000, 0.25, 0.025, 0.3125, 0.5, 1.25)))


def row(read, said=0, **parts):
    return Band(band_of(read), 1, read, output=said, **parts)


def test_rows_are_billed_by_their_own_length_and_never_by_their_sum():
    rows = [row(1_500, 1_000)] * 1_000
    assert TIERED.cost(rows) == pytest.approx(0.325)
    assert TIERED.cost([row(1_500_000, 1_000_000)]) == pytest.approx(1.625)


@pytest.mark.parametrize(("read", "price"), [(1, 0.05), (100_000, 0.05), (100_001, 0.25), (900_000, 0.25)])
def test_a_step_begins_above_its_length(read, price):
    assert TIERED.cost([row(read)]) == pytest.approx(read * price / 1e6)


def test_rows_of_one_band_cost_as_much_together_as_apart():
    draw = random.Random(7)
    rows = [row(draw.randrange(1, 300_000), draw.randrange(5_000)) for _ in range(500)]
    rows = [one._replace(cached=one.input // 3, written=one.input // 4, written_1h=one.input // 8) for one in rows]
    sums = {}
    for one in rows:
        sums[one.length] = [a + b for a, b in zip(sums.get(one.length, [0] * 8), one, strict=True)]
    bands = [Band(length, *values[1:]) for length, values in sums.items()]
    assert TIERED.cost(bands) == pytest.approx(sum(TIERED.cost([one]) for one in rows), rel=1e-12)


def test_each_kind_of_token_has_its_price():
    parts = row(1_000, 100, cached=500, written=300, written_1h=200)
    assert TIERED.cost([parts]) == pytest.approx(
        (200 * 0.05 + 500 * 0.005 + 100 * 0.0625 + 200 * 0.1 + 100 * 0.25) / 1e6
    )
    assert TIERED.saved([parts]) == pytest.approx((500 * 0.045 - 100 * 0.0125 - 200 * 0.05) / 1e6)
    assert TIERED.saved([row(1_000, 100, written=1_000)]) < 0  # a cache that nobody reads costs money


def test_the_dearer_rate_is_that_at_each_length():
    flat = Rate((Step(0, 0.1, 0.1, 0.1, 0.1, 0.1),))
    dear = TIERED.dearer(flat)
    assert [step.above for step in dear.steps] == [0, 100_000]
    assert dear.step(0)[1:] == (0.1, 0.1, 0.1, 0.1, 0.25)
    assert dear.step(100_000 // BAND)[1:] == (0.25, 0.1, 0.3125, 0.5, 1.25)


def test_a_price_that_changes_while_the_batch_may_run_is_a_range():
    now, later = Quote("v", "m", FREE, FREE, "s"), Quote("v", "m", TIERED, TIERED, "t")
    assert now.until(later).high == TIERED
    assert not now.until(later).is_known
    assert later.until(later).is_known
