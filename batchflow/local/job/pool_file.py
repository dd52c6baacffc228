"""The project's pool: endpoints that local batches ask beside their own ones, or ask no more; it may always change.

One file beside the job folders, `processed_files/.local/pool.json`. Workers look at it once a second.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from batchflow import files
from batchflow.errors import DataError

NAME = "pool.json"


@dataclass(frozen=True, slots=True)
class Member:
    """An endpoint. model: only batches of this model ask it, empty: all that it lists. is_out: nobody asks it."""

    url: str
    model: str = ""
    is_out: bool = False


def read(path: Path) -> tuple[Member, ...]:
    """The members, in the order in which they came. Raises DataError for a file that cannot be read."""
    try:
        data = files.loads(path.read_bytes())
        return tuple(Member(str(row["url"]), str(row["model"]), bool(row["is_out"])) for row in data["endpoints"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: cannot be read ({error})", hint="remove it, and add the endpoints again") from None


def change(path: Path, do: Callable[[dict[str, Member]], None]) -> tuple[Member, ...]:
    """Change the members by URL, one process at a time; returns them. Raises as `read`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        members = {member.url: member for member in read(path)}
        do(members)
        with files.replacing(path) as handle:
            handle.write(files.dumps({"endpoints": [asdict(member) for member in members.values()]}))
    return tuple(members.values())


def stamp(path: Path) -> tuple[int, int, int]:
    """Changes whenever the file does."""
    try:
        seen = path.stat()
    except OSError:
        return (0, 0, 0)
    return (seen.st_mtime_ns, seen.st_size, seen.st_ino)


def asked(own: Iterable[str], members: Iterable[Member], model: str) -> tuple[str, ...]:
    """The URLs that a batch of a model asks. own: its own ones."""
    urls = dict.fromkeys(own)
    for member in members:
        if member.is_out:
            urls.pop(member.url, None)
        elif member.model in {"", model}:
            urls.setdefault(member.url)
    return tuple(urls)
