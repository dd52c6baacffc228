"""Where this process is, as others of the same ledger see it: the processes that can see one another's file locks.

Locks lie in the project folder, so neither a host's name nor a folder is enough: two people may work on one host in two
folders with one PostgreSQL ledger, two laptops may have one name, and one folder may be mounted on two hosts.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from pathlib import Path

LOCKS = ".locks"
_MARK = "place"
_LENGTH = 16  # hex digits


def here(processed: Path) -> str:
    """`<host>/<mark>`; the mark is drawn once per project folder and kept in `processed_files/.locks/place`."""
    return f"{socket.gethostname()}/{_mark(processed / LOCKS)}"


def host_of(place: str) -> str:
    """The host's name, for people."""
    return place.partition("/")[0]


def _mark(folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _MARK).open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two first commands draw one mark
        handle.seek(0)
        mark = handle.read()
        if len(mark) != _LENGTH:  # new, or cut by a kill
            mark = secrets.token_hex(_LENGTH // 2)
            handle.truncate(0)
            handle.write(mark)
            handle.flush()
            os.fsync(handle.fileno())
        return mark
