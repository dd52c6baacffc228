"""Choice between a live view and lines: a view on a terminal, lines in a log, a pipe and with `--json`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from batchflow.steps.base.context import Context
    from batchflow.steps.collecting.progress_report import GetReport


class Follower(Protocol):
    """Shows every answer of a wait until it is closed."""

    def __call__(self, report: GetReport) -> None:
        """Show an answer."""

    def watch(self, names: Sequence[str]) -> None:
        """Show these batches before anything is heard of them."""

    def close(self) -> None:
        """Leave the terminal to what comes next."""


def follower(context: Context, speak: Callable[[str], str], *, as_json: bool) -> Follower:
    """The form of progress that suits where stderr goes. rich is imported only for a view."""
    from batchflow.steps.watching.reading import ProgressReader

    reader = ProgressReader(context)
    if as_json or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") in {"dumb", "unknown"}:
        from batchflow.cli.live.ticker import Ticker

        return Ticker(reader, speak)
    from batchflow.cli.live.screen import Screen

    return Screen(context, reader, speak)
