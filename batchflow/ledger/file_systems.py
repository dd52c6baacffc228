"""File systems of other machines, on which the locks of SQLite do not hold and nobody shares its shared memory."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
"""Linux's table of mounts; other systems have none, and nothing is told there."""

_NETWORK = frozenset(
    {"afs", "beegfs", "ceph", "cifs", "davfs", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs"}
    | {"pvfs2", "smb3", "smbfs"}
    | {f"fuse.{name}" for name in ("ceph", "davfs2", "gcsfuse", "glusterfs", "goofys", "rclone", "s3fs", "sshfs")}
)
_ESCAPED = re.compile(r"\\([0-7]{3})")


def network_of(folder: Path) -> str:
    """The kind of network file system that a folder lies on; empty for a local one, or where nobody knows."""
    try:
        lines = MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    where, kinds = folder.resolve(), dict(filter(None, map(_mount, lines)))  # the later mount covers the earlier
    kind = next((kinds[place] for place in (where, *where.parents) if place in kinds), "")
    return kind if kind in _NETWORK else ""


def _mount(line: str) -> tuple[Path, str] | None:
    """Place and kind of a mount; None for a line that is none."""
    own, _, rest = line.partition(" - ")
    words, kind = own.split(), rest.partition(" ")[0]
    if len(words) < 5 or not kind:
        return None
    return Path(_ESCAPED.sub(lambda digits: chr(int(digits[1], 8)), words[4])), kind
