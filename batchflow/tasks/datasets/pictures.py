"""Pictures in data sets: base64 text or raw bytes in, a checked `Image` out."""

from __future__ import annotations

import base64
import binascii
import re

from batchflow.records import Image
from batchflow.tasks.datasets import image_integrity

# First bytes of the four kinds that every vendor takes. WebP has its length between RIFF and its name.
_MAGIC: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
)
_DATA_URL = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_SPACE = re.compile(r"\s+")


def sniff(raw: bytes) -> str | None:
    """The MIME type that the first bytes tell, or None for anything but PNG, JPEG, GIF and WebP."""
    return next((mime for magic, mime in _MAGIC if magic.match(raw)), None)


def from_bytes(raw: bytes, claimed: str | None = None, *, whole: bool = True) -> Image:
    """A picture from its bytes. Raises ValueError when they are no known picture, or not the claimed type.

    whole: also when its end is missing. Decoders show what is there.
    """
    mime = sniff(raw)
    if mime is None:
        raise ValueError("the bytes are not a PNG, JPEG, GIF or WebP picture")
    if claimed is not None and claimed != mime:
        raise ValueError(f"the data URL says {claimed}, but the bytes are {mime}")
    if whole and (lacks := image_integrity.missing(raw, mime)):
        raise ValueError(f"the picture is cut short: {lacks} is missing")
    return Image(mime, base64.b64encode(raw).decode("ascii"))


def from_text(text: str, *, whole: bool = True) -> Image:
    """A picture from base64 text, with or without a `data:` prefix; line breaks are dropped.

    Raises ValueError for broken base64, for a prefix that lies, and as `from_bytes` does.
    """
    claimed, encoded = _unwrap(_SPACE.sub("", text))
    try:
        raw = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError as error:
        raise ValueError(f"broken base64 ({error})") from None
    if len(encoded) != (len(raw) + 2) // 3 * 4:  # binascii lets surplus padding pass
        raise ValueError("broken base64 (wrong padding)")
    return from_bytes(raw, claimed, whole=whole)


def _unwrap(text: str) -> tuple[str | None, str]:
    """(claimed MIME type, base64 text) of a data URL, or (None, text)."""
    if text[:5].lower() != "data:":
        return None, text
    match = _DATA_URL.match(text)
    if match is None or ";base64" not in match[2].lower():
        raise ValueError("a data URL has to read data:<type>;base64,<text>")
    claimed = match[1].lower()
    return ("image/jpeg" if claimed == "image/jpg" else claimed), text[match.end() :]
