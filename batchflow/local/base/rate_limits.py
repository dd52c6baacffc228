"""Time rules of the local worker: durations as people write them, backoff, Retry-After."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from batchflow.errors import UsageError

_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)")

RETRY_AFTER_CAP_S = 600.0  # a server's wish beyond this is taken as this: nobody waits a day for a typo


def seconds(value: object, option: str) -> float:
    """A duration in seconds: `6000ms`, `100s`, `10m`, `1h`; a bare number is seconds. Raises UsageError."""
    text = str(value).strip().lower()
    match = _DURATION.fullmatch(text)
    if match is None or isinstance(value, bool):
        raise UsageError(f"{option}: {value!r} is not a duration", hint="write 6000ms, 100s, 10m or 1h")
    return float(match[1]) * _UNITS[match[2]]


def backoff(attempt: int, base_s: float, cap_s: float, rng: random.Random) -> float:
    """Seconds before try number `attempt` + 1: exponential with full jitter and a cap.

    Full jitter (uniform between 0 and the exponential bound) spreads a crowd of retries best:
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """
    return rng.uniform(0.0, min(cap_s, base_s * 2.0 ** min(attempt - 1, 60)))


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds asked for by a Retry-After header: a number or an HTTP date (RFC 9110, 10.2.3); None when unreadable."""
    if not value:
        return None
    text = value.strip()
    try:
        wish = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)  # without a zone in RFC 9110's obsolete forms, which are in UTC too
            date = date if date.tzinfo else date.replace(tzinfo=UTC)
            wish = (date - (now or datetime.now(UTC))).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(wish, 0.0), RETRY_AFTER_CAP_S) if wish == wish else None  # noqa: PLR0124 - NaN
