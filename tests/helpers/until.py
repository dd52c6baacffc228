"""Waiting for something that another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")


def until(claim: Callable[[], Seen], seconds: float = 60.0) -> Seen:
    """The first true value of a claim. It fails the test when the time is up."""
    deadline = time.monotonic() + seconds
    while not (seen := claim()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return seen
