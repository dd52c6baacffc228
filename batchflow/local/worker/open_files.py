"""The limit of open files: 1,024 is what shells give, and a window of requests may be wider."""

from __future__ import annotations

import resource
import sys

from batchflow.errors import EngineError

SPARE = 96  # beside the connections: the job's own files, the ledger, threads, libraries


def allow(connections: int, *, kept: int) -> None:
    """Raise this process's limit as far as needed, and as the machine allows it.

    connections: in use at once, at most. kept: with those that stay open at one endpoint while another has the rows.
    Raises EngineError where not even the first are allowed.
    """
    needed, wanted = connections + SPARE, max(connections, kept) + SPARE
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = (sys.maxsize if limit == resource.RLIM_INFINITY else limit for limit in limits)
    if hard < needed:
        raise EngineError(
            f"--concurrency {connections} needs {needed} open files, and this machine allows {hard}",
            hint="raise the limit (`ulimit -Hn`, LimitNOFILE), or prepare the batch with a lower --concurrency",
        )
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), limits[1]))
