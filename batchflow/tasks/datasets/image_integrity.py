"""Tells whether a picture has its end, read from its format's own marks alone: no decoder and no Pillow.

Only a missing end counts. Bytes after the end are common (phones append video, editors append notes) and every decoder
ignores them; damage in the middle is left to decoders. Each walk takes time in proportion to the marks, not the pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# A JPEG marker: FF and a code, fill bytes FF before it. FF 00 is a data byte of the scan (ITU-T T.81, B.1.1.2 and .5).
_MARKER = re.compile(rb"\xff([\x01-\xfe])")
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # TEM, RST0 to RST7, SOI: markers without a segment
_SCAN, _END = 0xDA, 0xD9


def missing(raw: bytes, mime: str) -> str | None:
    """Names what a picture of this type lacks at its end; None for a whole one. raw begins as the type does."""
    has_end, what = _ENDS[mime]
    return None if has_end(raw) else what


def _png(raw: bytes) -> bool:
    """Tells whether the chunks lead to a whole IEND (PNG specification, 5.3: length, type, data, CRC)."""
    place = 8
    while (after := place + 12 + int.from_bytes(raw[place : place + 4])) <= len(raw):
        if raw[place + 4 : place + 8] == b"IEND":
            return True
        place = after
    return False


def _jpeg(raw: bytes) -> bool:
    """Tells whether EOI follows a scan. Segments are stepped over: a thumbnail in one has an EOI of its own."""
    place, scanned = 2, False
    while match := _MARKER.search(raw, place):
        code, place = match[1][0], match.end()
        if code == _END and scanned:
            return True
        if code in _ALONE or code == _END:
            continue
        scanned |= code == _SCAN
        place += int.from_bytes(raw[place : place + 2])
    return False


def _gif(raw: bytes) -> bool:
    """Tells if the blocks lead to the trailer (GIF89a specification, 18 to 27). Stray bytes between them are passed."""
    place = 13 + _table(raw[10:11])
    while kind := raw[place : place + 1]:
        place += 1
        if kind == b";":
            return True
        if kind == b"!":
            place = _after_blocks(raw, place + 1)
        elif kind == b",":
            place = _after_blocks(raw, place + 10 + _table(raw[place + 8 : place + 9]))
    return False


def _table(packed: bytes) -> int:
    """Bytes of the colour table that a packed byte announces."""
    return 3 << (packed[0] & 7) + 1 if packed and packed[0] & 0x80 else 0


def _after_blocks(raw: bytes, place: int) -> int:
    """The place behind a chain of sub-blocks, each of which begins with its length; 0 ends the chain."""
    while size := raw[place : place + 1]:
        place += 1 + size[0]
        if size == b"\0":
            break
    return place


def _webp(raw: bytes) -> bool:
    """Tells whether there are as many bytes as the RIFF header announces (WebP container specification)."""
    return len(raw) >= 8 + int.from_bytes(raw[4:8], "little")


_ENDS: dict[str, tuple[Callable[[bytes], bool], str]] = {
    "image/png": (_png, "its closing IEND chunk"),
    "image/jpeg": (_jpeg, "its end marker (EOI)"),
    "image/gif": (_gif, "its trailer"),
    "image/webp": (_webp, "bytes that its header announces"),
}
