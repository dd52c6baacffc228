"""Live view of a wait on a terminal, drawn by rich; it goes away at the end, when the card tells all."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from batchflow.cli.cards.base.text import span
from batchflow.cli.live.drawing import Speak, drawn, foot

if TYPE_CHECKING:
    from batchflow.steps.base.context import Context
    from batchflow.steps.collecting.progress_report import GetReport
    from batchflow.steps.watching.reading import ProgressReader
    from batchflow.steps.watching.snapshot import BatchSnapshot, Snapshot

FAMILY_S = 1.0
"""Shortest time between two readings of all batches; the one that is told is read at once."""
PER_S = 4
"""Drawings per second: clocks go on between two answers."""


class Screen:
    """Is told every answer of a wait. What is said meanwhile appears above the view."""

    def __init__(
        self, context: Context, reader: ProgressReader, speak: Speak, *, console: Console | None = None
    ) -> None:
        self._context, self._reader, self._speak = context, reader, speak
        self._console = console or Console(file=sys.stderr, highlight=False)
        self._ascii = not self._console.encoding.lower().startswith("utf")
        self._roots: list[str] = []
        self._troubles: dict[str, str] = {}
        self._snapshot: Snapshot | None = None
        self._begun, self._read_at = time.monotonic(), 0.0
        self._live = Live(
            get_renderable=self._drawing, console=self._console, refresh_per_second=PER_S, transient=True,
            vertical_overflow="crop",
        )  # fmt: skip
        self._live.start()

    def __call__(self, report: GetReport) -> None:
        """Draw how a batch is going, with all that belong to it."""
        if report.trouble:
            self._troubles[report.name] = report.trouble
        else:
            self._troubles.pop(report.name, None)
        known = self._known()
        if report.name not in known:
            self._roots.append(report.name)
        now = time.monotonic()
        if report.name not in known or now - self._read_at >= FAMILY_S:
            self._snapshot, self._read_at = self._reader.read(self._roots, self._troubles), now
        else:
            self._put(self._reader.read_alone(report.name, report.trouble))
        self._live.refresh()

    def watch(self, names: Sequence[str]) -> None:
        """Draw these batches from now on, whatever is told of them."""
        self._roots += [name for name in names if name not in self._roots]
        self._snapshot, self._read_at = self._reader.read(self._roots, self._troubles), time.monotonic()

    def close(self) -> None:
        """Take the view away."""
        self._live.stop()

    def _known(self) -> dict[str, BatchSnapshot]:
        return {batch.name: batch for batch in self._snapshot.batches} if self._snapshot else {}

    def _put(self, alone: Snapshot) -> None:
        """Replace what is known of one batch."""
        if self._snapshot is not None:
            fresh = {batch.name: batch for batch in alone.batches}
            several = (
                replace(fresh[batch.name], of=batch.of) if batch.name in fresh else batch
                for batch in self._snapshot.batches
            )
            self._snapshot = replace(self._snapshot, at=alone.at, batches=tuple(several))

    def _drawing(self) -> Group:
        if self._snapshot is None:
            return Group(Text(f"at work, {span(time.monotonic() - self._begun)}", style="bold"), foot())
        lines = drawn(
            self._snapshot, elapsed_s=time.monotonic() - self._begun, width=self._console.width,
            height=max(self._console.height - 2, 4), speak=self._speak, ascii_only=self._ascii,
            now=self._context.clock(),
        )  # fmt: skip
        return Group(*lines)
