from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.steps.watching import expected_end
from batchflow.steps.watching.expected_end import Basis, Earlier, by_counts, by_history, last_of, quantile

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def at(minutes):
    return NOON + timedelta(minutes=minutes)


def by(earlier, *, model="m", requests=100, elapsed=0):
    return by_history(earlier, model, requests, begun_at=NOON, now=at(elapsed))


def test_examples():
    assert doctest.testmod(expected_end).failed == 0


class TestByCounts:
    def test_the_range_closes_as_rows_come_in(self):
        ends = [by_counts(over, 1000, begun_at=NOON, seen_at=at(over / 10)) for over in (5, 50, 500)]
        assert all(end.likely == at(100) for end in ends)
        widths = [(end.latest - end.earliest).total_seconds() for end in ends]
        assert widths == sorted(widths, reverse=True)

    @pytest.mark.parametrize("over", [0, 4])
    def test_few_rows_tell_no_end(self, over):
        assert by_counts(over, 1000, begun_at=NOON, seen_at=at(10)) is None

    def test_a_clock_that_was_put_back_tells_no_end(self):
        assert by_counts(50, 100, begun_at=NOON, seen_at=at(-1)) is None

    @given(st.integers(5, 10**6), st.integers(0, 10**6), st.floats(0.01, 10**5))
    def test_a_range_holds_what_is_likely_and_never_lies_in_the_past(self, over, more, minutes):
        end = by_counts(over, over + more, begun_at=NOON, seen_at=at(minutes))
        assert at(minutes) <= end.earliest <= end.likely <= end.latest


class TestByHistory:
    EARLIER = tuple(Earlier("m", 100, 60 * minutes) for minutes in (10, 20, 30, 40, 50))

    def test_the_median_and_eight_of_ten(self):
        end, why = by(self.EARLIER)
        assert (end.earliest, end.likely, end.latest) == (at(14), at(30), at(46))
        assert (end.basis, end.jobs, why) == (Basis.MODEL, 5, "")

    def test_jobs_that_took_less_than_this_one_already_has_say_nothing(self):
        end, _ = by(self.EARLIER, elapsed=35)
        assert (end.likely, end.jobs) == (at(45), 2)

    def test_longer_than_all_is_unknown(self):
        assert by(self.EARLIER, elapsed=51) == (None, "it takes longer than each of 5 earlier jobs")

    def test_none_is_unknown(self):
        assert by(()) == (None, "no earlier job of this vendor in the ledger")

    def test_its_own_model_and_size_go_first(self):
        other = tuple(Earlier("other", 100, 6) for _ in range(50))
        large = tuple(Earlier("m", 100_000, 6000) for _ in range(50))
        assert by((*other, *large, *self.EARLIER))[0].likely == at(30)
        assert by((*other, *large))[0].likely == at(100)
        assert by(other)[0].basis is Basis.VENDOR


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.floats(0, 1))
def test_a_quantile_lies_between_its_neighbours(numbers, share):
    ordered = sorted(numbers)
    place = share * (len(ordered) - 1)
    slack = 1e-9 * ordered[-1]
    low, high = ordered[int(place)], ordered[min(int(place) + 1, len(ordered) - 1)]
    assert low - slack <= quantile(ordered, share) <= high + slack


def test_a_batch_ends_with_its_last_job():
    one = by_counts(50, 100, begun_at=NOON, seen_at=at(10))
    two, _ = by(TestByHistory.EARLIER)
    together = last_of((one, two))
    assert (together.likely, together.latest, together.basis) == (at(30), at(46), Basis.MODEL)
    assert last_of(()) is None
