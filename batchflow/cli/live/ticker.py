"""Progress as lines: each is written once, when something has changed. For logs, pipes and `--json`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TextIO

from batchflow.cli.live import wording

if TYPE_CHECKING:
    from batchflow.steps.collecting.progress_report import GetReport
    from batchflow.steps.watching.reading import ProgressReader

COUNTS_S = (5.0, 30.0)
"""Bounds of the shortest time between two lines about a batch that differ in counts only: a fifth of the wait so far."""

_NUMBERS = re.compile(r"\d+")  # ages and counts in a reason: a change of these alone is no news


class Ticker:
    """Is told every answer of a wait. clock: seconds that only grow. speak: puts commands as they are typed here."""

    def __init__(
        self, reader: ProgressReader, speak: Callable[[str], str], *, stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._reader, self._speak = reader, speak
        self._stream = stream or sys.stderr
        self._clock = clock
        self._begun = clock()
        self._latest: dict[str, tuple[str, tuple[int, ...], float]] = {}  # name -> state and reasons, counts, when

    def __call__(self, report: GetReport) -> None:
        """Write how a batch is going, if that is news."""
        snapshot = self._reader.read_alone(report.name, report.trouble)
        batch = snapshot.batches[0]
        news = "; ".join([wording.state(batch), *map(wording.reason, batch.problems)])
        news, counts = _NUMBERS.sub("", news), (batch.done, batch.failed, batch.cancelled)
        if self._is_news(batch.name, news, counts):
            self._latest[batch.name] = (news, counts, self._clock())
            self._stream.write(f"{self._speak(wording.sentence(batch, snapshot.at))}\n")
            self._stream.flush()

    def watch(self, names: Sequence[str]) -> None:
        """Do nothing: a line is written once there is news."""

    def close(self) -> None:
        """Do nothing: lines stay."""

    def _is_news(self, name: str, news: str, counts: tuple[int, ...]) -> bool:
        if name not in self._latest:
            return True
        before, counted, when = self._latest[name]
        shortest, longest = COUNTS_S
        pause = min(max((when - self._begun) / 5, shortest), longest)
        return news != before or (counts != counted and self._clock() - when >= pause)
