"""Which pairs of two lists a run of the suite takes: some of each, or every pair where `scripts/test --whole` asks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

One, Other = TypeVar("One"), TypeVar("Other")

WHOLE = os.environ.get("BATCHFLOW_TEST_WHOLE") == "1"


def crossed(ones: Sequence[One], others: Sequence[Other], *, each: int) -> list[tuple[One, Other]]:
    """Pairs in which every one meets `each` of the others, in turn, so that every other is met about as often."""
    count = len(others) if WHOLE else each
    return [(one, others[(place + step) % len(others)]) for place, one in enumerate(ones) for step in range(count)]
