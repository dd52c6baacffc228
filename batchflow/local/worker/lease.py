"""The worker's view of its lease on a job. The ledger keeps the lease; this package knows no ledger."""

from __future__ import annotations

from typing import Protocol


class Lease(Protocol):
    """The right to work on one job, kept alive by somebody else."""

    def lost(self) -> str:
        """Reason why this process may write no more rows; empty while it may.

        Once lost, it stays lost. It is asked before each row and four times a second, also from other threads, so it
        is cheap; after an oversleep it may take seconds, since somebody has to be asked before another row is written.
        """
        ...


class Unleased:
    """The lease of a job that no ledger knows (benchmarks, tests): the lock on its folder is all."""

    def lost(self) -> str:
        """Never."""
        return ""
