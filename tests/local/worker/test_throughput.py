import pytest

from batchflow.local.worker.dispatcher import Tally
from batchflow.local.worker.throughput import Rate


def test_the_rate_looks_at_the_last_stretch_only():
    rate, tally = Rate(0.0), Tally()
    tally.rows, tally.tokens = 300, 3000
    assert rate.take(10.0, tally) == (30.0, 300.0)
    for second in range(11, 100):
        tally.rows += 1
        tally.tokens += 10
        recent = rate.take(float(second), tally)
    assert recent == (1.0, 10.0)


def test_rows_that_take_long_still_have_a_rate_and_an_end():
    """A row every 50 s, and then none for an hour: neither is no rate at all."""
    rate, tally = Rate(0.0), Tally()
    for second in range(1, 10_001):
        if second % 50 == 0:
            tally.rows += 1
            tally.tokens += 500
        recent = rate.take(float(second), tally)
        assert second < 50 or recent[0] is not None
    assert recent == pytest.approx((0.02, 10.0), rel=0.02)
    later, _ = rate.take(13_600.0, tally)
    assert 0 < later < 0.01


def test_what_is_kept_for_the_rate_does_not_grow():
    rate, tally = Rate(0.0), Tally()
    for second in range(1, 2001):
        tally.rows += second % 3
        rate.take(float(second), tally)
    assert len(rate._samples) < 70


def test_no_rate_before_the_first_row():
    assert Rate(0.0).take(5.0, Tally()) == (None, None)
