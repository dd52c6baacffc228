"""Progress of a wait: one changing line on a terminal; elsewhere, such as in a log, only news."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

from batchflow.cli.cards.batches import told_counts
from batchflow.cli.cards.text import CLEAR, clean, line

if TYPE_CHECKING:
    from batchflow.steps.collecting.poll import GetReport

COUNTS_S = 30.0
"""Shortest time between two lines that differ in counts only, where lines stay."""
SILENCE_S = 60.0
"""After so long without news the same is said again: the wait goes on."""


class Ticker:
    """Is told every answer of a wait; `close` leaves the line free. clock: seconds that only grow."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._clock = clock
        self._latest: dict[str, str] = {}
        self._told: dict[str, tuple[str, str, float]] = {}  # name -> state, text, when it was said

    def __call__(self, report: GetReport) -> None:
        """Say how a batch is going, if that is news."""
        state, why = _state(report), _why(report)
        text = f"{report.name}: {state}, {told_counts(report.counts) or 'nothing yet'}"
        text = clean(f"{text} of {report.counts['requests']:,}") + (f"; {why}" if why else "")
        state += _NUMBERS.sub("", why)
        if self._live:
            self._latest[report.name] = text
            self._paint("; ".join(self._latest.values()))
        elif self._is_news(report.name, state, text):
            self._told[report.name] = (state, text, self._clock())
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def close(self) -> None:
        """Take the live line away: the card says it all."""
        if self._live and self._latest:
            self._paint("")

    def _paint(self, text: str) -> None:
        """Write over the line and go back to its start, so that whatever comes next stands in its place."""
        width = shutil.get_terminal_size().columns
        self._stream.write(f"{CLEAR}{text[: width - 1]}\r")
        self._stream.flush()

    def _is_news(self, name: str, state: str, text: str) -> bool:
        if name not in self._told:
            return True
        before, line, when = self._told[name]
        since = self._clock() - when
        return state != before or since >= (COUNTS_S if text != line else SILENCE_S)


_NUMBERS = re.compile(r"\d+")  # ages and counts in a reason: a change of these alone is no news


def _why(report: GetReport) -> str:
    """Returns what holds a batch up: a vendor or server that cannot be reached, a refusal, a full queue."""
    why = report.trouble or next((job.error for job in report.jobs if job.error), None)
    return line(why, 160) if why else ""


def _state(report: Any) -> str:
    """State, and the vendor's or worker's own words for it: what is told at once when it changes."""
    words = sorted({job.word for job in report.jobs if job.word} - {report.state})
    return f"{report.state} ({', '.join(words)})" if words else str(report.state)
