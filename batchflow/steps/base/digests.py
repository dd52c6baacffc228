"""Hashes of files, computed once a process while a file does not change."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

_Stamp = tuple[int, int, int, int]
_DIGESTS: dict[_Stamp, str] = {}  # by device, inode, size and time of change: one command hashes a file once


def remember(path: Path, sha256: str) -> None:
    """Note the hash of a file that was just written, so that no reader of this process has to hash it again."""
    _DIGESTS[_stamp(path.stat())] = sha256


def is_whole(project: Path, file: Mapping[str, Any]) -> bool:
    """Tells whether a raw file is on the disk as it was downloaded."""
    return is_of(project / file["path"], str(file["sha256"]))


def is_of(path: Path, sha256: str) -> bool:
    """Tells whether a file is there and has this hash."""
    try:
        with path.open("rb", buffering=0) as handle:
            return digest(handle) == sha256
    except OSError:
        return False


def digest(handle: FileIO) -> str:
    """Hex SHA-256 of an open file, computed once a process while it does not change."""
    stamp = _stamp(os.fstat(handle.fileno()))
    if stamp not in _DIGESTS:
        _DIGESTS[stamp] = hashlib.file_digest(handle, "sha256").hexdigest()
    return _DIGESTS[stamp]


def _stamp(facts: os.stat_result) -> _Stamp:
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns
