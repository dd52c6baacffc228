"""Pictures as cells of a data set hold them: base64 text, a data URL, bytes, a path beside the file, or a list.

A path never leaves the folder of the data set, not by a link either, and nothing is fetched from a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.records import Image
from batchflow.tasks.datasets import pictures

MOST_BYTES = 64 << 20
_MOST_PATH = 1_024
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def images(value: Any, folder: Path) -> tuple[Image, ...]:
    """The pictures of a cell, in order; none for an empty one. folder: where paths start.

    Raises ValueError, in words, for what is no picture, for a URL and for a path out of the folder.
    """
    return tuple(_image(one, folder) for one in _several(value))


def _several(value: Any) -> Iterator[Any]:
    if isinstance(value, str) and value.lstrip().startswith("["):  # a list, as a cell of CSV holds one
        try:
            value = files.loads(value)
        except ValueError as error:
            raise ValueError(f"it begins as a list, and is not JSON ({error})") from None
    for one in value if isinstance(value, list | tuple) else [value]:
        if one is not None and one not in ("", b"") and not (isinstance(one, str) and one.isspace()):
            yield one


def _image(value: Any, folder: Path) -> Image:
    if isinstance(value, dict):  # as the `datasets` library stores it
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return pictures.from_bytes(value)
    if not isinstance(value, str):
        raise ValueError("a picture is base64 text, a data URL, a path, or a list of these")  # noqa: TRY004
    text = value.strip()
    if text[:5].lower() == "data:":
        return pictures.from_text(text)
    if _URL.match(text):
        raise ValueError(f"{text[:80]!r} is a URL: download the picture and give its path")
    if len(text) <= _MOST_PATH and ("." in text or "\\" in text):  # characters that base64 does not have
        return replace(pictures.from_bytes(_read(text, folder)), path=text)
    return pictures.from_text(text)


def _read(text: str, folder: Path) -> bytes:
    """The bytes of a file in the folder or below it."""
    home = folder.resolve()
    try:
        path = (home / text).resolve()
        if not path.is_relative_to(home):
            raise ValueError(f"{text[:80]!r} leaves the folder {home}: put the picture beside the data set, or below")
        if not path.is_file():
            raise ValueError(f"{text[:80]!r}: no such file in {home}; a path is relative to the data set")
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{text[:80]!r} has {path.stat().st_size:,} bytes, at most {MOST_BYTES:,} are read")
        return path.read_bytes()
    except (OSError, RuntimeError) as error:  # a loop of links, a name that is too long, no permission
        raise ValueError(f"{text[:80]!r} cannot be read ({error})") from None
