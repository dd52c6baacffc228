"""Garbage collection while many rows are read: they make no cycles, and each of them is looked at several times."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 100_000  # objects, more than the rows that wait in memory
_NEVER = 1 << 30


@contextmanager
def few_collections() -> Iterator[None]:
    """Collects rarely, and leaves out full collections, which walk through all modules: 3 µs a row of `results`."""
    first, second, third = gc.get_threshold()
    gc.set_threshold(_YOUNG if first else 0, second, _NEVER)
    try:
        yield
    finally:
        gc.set_threshold(first, second, third)
