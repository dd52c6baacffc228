import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.errors import UsageError
from batchflow.local.base import rate_limits


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6000ms", 6.0), ("100s", 100.0), ("10m", 600.0), ("1h", 3600.0), (100, 100.0), ("1.5", 1.5), (" 2 m ", 120.0)],
)
def test_durations_as_people_write_them(text, expected):
    assert rate_limits.seconds(text, "timeout") == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "-1s", "ten", "5d", "1e3", True, "inf", "nan", "1m30s"])
def test_what_is_no_duration_is_refused_by_its_option(text):
    with pytest.raises(UsageError, match="timeout"):
        rate_limits.seconds(text, "timeout")


@given(attempt=st.integers(1, 10_000), seed=st.integers())
def test_backoff_is_within_its_exponential_bound_and_cap(attempt, seed):
    wait = rate_limits.backoff(attempt, 0.5, 60.0, random.Random(seed))
    assert 0 <= wait <= min(60.0, 0.5 * 2 ** min(attempt - 1, 60))


def test_backoff_grows_and_is_spread_over_the_whole_bound():
    rng = random.Random(1)
    means = [sum(rate_limits.backoff(n, 1.0, 1e9, rng) for _ in range(4000)) / 4000 for n in range(1, 6)]
    for n, mean in enumerate(means):
        assert mean == pytest.approx(2**n / 2, rel=0.1)


NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3", 3.0),
        ("0.25", 0.25),
        ("-5", 0.0),
        ("999999", rate_limits.RETRY_AFTER_CAP_S),
        ("Sat, 21 Nov 2026 12:00:07 GMT", 7.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("Sat Nov 21 12:00:07 2026", 7.0),
        ("Saturday, 21-Nov-26 12:00:07 GMT", 7.0),
        ("soon", None),
        ("nan", None),
        ("inf", rate_limits.RETRY_AFTER_CAP_S),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value, expected):
    assert rate_limits.retry_after(value, NOW) == expected


@given(st.text())
def test_retry_after_never_raises(value):
    wish = rate_limits.retry_after(value, NOW)
    assert wish is None or 0 <= wish <= rate_limits.RETRY_AFTER_CAP_S
