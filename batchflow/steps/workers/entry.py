"""The process of one local job's worker: `python -m batchflow.steps.workers.entry FOLDER`.

Whoever makes the settings hands `COMMAND` in with them (`Settings.worker`): the vendor `local` knows no step and starts
what it was given. To know the command costs nothing; the worker is imported in its own process.
"""

from __future__ import annotations

import os
import sys

COMMAND = (sys.executable, "-m", __name__)

if __name__ == "__main__":
    from batchflow.steps.workers import lease_keeper

    os.umask(0o022)
    sys.exit(lease_keeper.main())
