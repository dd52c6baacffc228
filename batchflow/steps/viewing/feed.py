"""Feed of snapshots for a view that stays: vendors are asked as `get` asks them, and nothing is ever sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from batchflow.states import Stage
from batchflow.steps.base.context import Context
from batchflow.steps.collecting.poll import refresh_all
from batchflow.steps.watching.reading import ProgressReader
from batchflow.steps.watching.snapshot import Snapshot
from batchflow.vendors.registry import HERE

HERE_S = 2.0
"""Seconds between two looks at workers of one's own, which cost nobody anything."""


class Feed:
    """Snapshots of these batches and of what belongs to them (none named: of all). clock: seconds that only grow."""

    def __init__(
        self, context: Context, names: Sequence[str], *, refresh_after_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._context, self._names, self._refresh_after_s = context, tuple(names) or None, refresh_after_s
        self._reader, self._clock = ProgressReader(context), clock
        self._troubles: dict[str, str] = {}
        self._asked_at: dict[bool, float] = {}  # of batches that are worked off here, and of the others

    def read(self) -> Snapshot:
        """The ledger as it is now. Raises UnknownBatch."""
        return self._reader.read(self._names, self._troubles)

    def ask(self, snapshot: Snapshot) -> bool:
        """Ask about what is out, where that is due; tells whether anybody was asked."""
        out = [
            batch
            for batch in snapshot.batches
            if batch.is_open and batch.stage not in {Stage.PREPARED, Stage.NEEDS_YOU}
        ]
        asked = False
        for is_here, patience_s in ((True, min(HERE_S, self._refresh_after_s)), (False, self._refresh_after_s)):
            names = [batch.name for batch in out if (batch.provider in HERE) is is_here]
            last = self._asked_at.get(is_here)
            if not names or (last is not None and self._clock() - last < patience_s):
                continue
            self._asked_at[is_here], asked = self._clock(), True
            troubles = refresh_all(self._context, names, refresh_after_s=patience_s)
            kept = {name: text for name, text in self._troubles.items() if name not in names}
            self._troubles = kept | troubles
        return asked
