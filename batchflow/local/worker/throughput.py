"""Throughput of a job, and its estimated end."""

from __future__ import annotations

from collections import deque

from batchflow.local.worker.dispatcher import Tally

RATE_S = 30.0
RATE_ROWS = 32  # a few slow rows tell no rate


class Rate:
    """Rows and tokens per second of this run, over its last `RATE_S` seconds, or `RATE_ROWS` rows if that is longer."""

    def __init__(self, now: float) -> None:
        self._samples: deque[tuple[float, int, int]] = deque([(now, 0, 0)])

    def take(self, now: float, tally: Tally) -> tuple[float | None, float | None]:
        """(rows_per_s, tokens_per_s) up to now; None before anything was finished."""
        if tally.rows != self._samples[-1][1]:
            self._samples.append((now, tally.rows, tally.tokens))
        while len(self._samples) > 2 and self._reaches_far_enough(1, now, tally.rows):
            self._samples.popleft()
        then, rows_then, tokens_then = self._samples[0]
        span = now - then
        if span <= 0 or tally.rows == rows_then:
            return None, None
        return (tally.rows - rows_then) / span, (tally.tokens - tokens_then) / span

    def _reaches_far_enough(self, place: int, now: float, rows: int) -> bool:
        then, rows_then, _ = self._samples[place]
        return now - then >= RATE_S and rows - rows_then >= RATE_ROWS
