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

    def hosts(self) -> int:
        """Number of hosts whose workers ask this job's servers, this one included: they divide its limits."""
        ...

    def notice_s(self) -> float:
        """Seconds after which those hosts know of this worker."""
        ...


class Unleased:
    """The lease of a job that no ledger knows (benchmarks, tests): the lock on its folder is all."""

    def lost(self) -> str:
        """Never."""
        return ""

    def hosts(self) -> int:
        """This one alone."""
        return 1

    def notice_s(self) -> float:
        """Nobody has to know."""
        return 0.0
