from __future__ import annotations

import pytest

from batchflow.prices.estimates import MOST_OUTPUT, Seen, estimate
from batchflow.prices.quotes import free
from batchflow.prices.rates import Quote, Rate, Step
from batchflow.prices.sizes import Sizes

RATE = Rate((Step(0, 1.0, 0.1, 1.25, 2.0, 10.0),))
PRICE = Quote("v", "m", RATE, RATE, "s")


def sizes(count=10, text=2_000, pictures=0, limit=500):
    made = Sizes()
    made.add(text, pictures, limit, count)
    return made


def test_without_experience_the_upper_end_is_certain():
    """No text has more tokens than bytes, no answer more than its limit, no cache write costs more than 2 x input."""
    told = estimate(sizes(), PRICE, Seen())
    assert (told.input_high, told.output_high) == (20_000, 5_000)
    assert told.high_usd == pytest.approx((20_000 * 2 + 5_000 * 10) / 1e6)
    assert 0 < told.low_usd < told.high_usd
    assert told.likely_usd is None
    assert estimate(sizes(limit=0), PRICE, Seen()).output_high == 10 * MOST_OUTPUT
    assert estimate(sizes(pictures=2), PRICE, Seen()).input_high == 20_000 + 10 * 12_000


def test_experience_narrows_both_ends():
    few = Seen(requests=6, text=12_000, read=3_000, said=600, longest=120)
    told = estimate(sizes(), PRICE, few)
    assert told.output_high == 10 * 4 * 120
    assert told.input_high == round(2_000 * 0.25 * 1.25) * 10
    many = estimate(sizes(), PRICE, Seen(60, 120_000, 30_000, 6_000, 120))
    assert many.output_high == 10 * 2 * 120
    assert many.low_usd == pytest.approx((10 * 300 * 1.0 + 10 * 50 * 10) / 1e6)  # too short for any cache
    assert many.low_usd < many.likely_usd < many.high_usd
    assert estimate(sizes(limit=150), PRICE, few).output_high == 10 * 150  # never above the limit
    assert estimate(sizes(), PRICE, Seen(4, 1, 1, 1, 1)).output_high == 5_000  # four answers prove nothing


def test_a_price_that_is_not_known_gives_no_money_and_one_that_is_free_gives_none():
    told = estimate(sizes(), Quote("v", "m", None, None, "s", "nobody knows m"), Seen())
    assert (told.low_usd, told.high_usd, told.why) == (None, None, ("nobody knows m",))
    assert estimate(sizes(), free("local", "m", "own engine"), Seen()).high_usd == 0.0
