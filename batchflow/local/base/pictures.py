"""Pictures made small enough for a model's context. Pillow is an extra, imported only when a size was asked for."""

from __future__ import annotations

import base64
import io
import math

from batchflow.errors import UsageError, install_extra
from batchflow.records import Image

MANY_PIXELS = 200_000_000  # a picture that claims more is taken for a decompression bomb


def shrunk(image: Image, max_pixels: int) -> Image:
    """The picture, at most `max_pixels` (width x height) large, its sides in proportion; as it is when it fits.

    The whole picture is decoded, so a broken one is found here. Raises ValueError for a picture that cannot be read,
    UsageError without Pillow.
    """
    try:
        from PIL import Image as Pillow
    except ImportError:
        raise UsageError("--max-image-pixels needs Pillow", hint=install_extra("images")) from None
    try:
        with Pillow.open(io.BytesIO(base64.b64decode(image.data))) as opened:
            width, height = opened.size
            if width * height > MANY_PIXELS:
                raise ValueError(f"claims {width} x {height} pixels")
            opened.load()
            if width * height <= max_pixels:
                return image
            small = opened.resize(_fitting(width, height, max_pixels), Pillow.Resampling.LANCZOS, reducing_gap=3.0)
    except (OSError, SyntaxError, Pillow.DecompressionBombError) as error:  # PIL says SyntaxError for broken PNGs
        raise ValueError(f"cannot be read ({error})") from None
    return _encoded(small, image.mime)


def _fitting(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """Both sides scaled alike and rounded down, at least 1: their product is at most max_pixels."""
    scale = math.sqrt(max_pixels / (width * height))
    short = max(1, math.floor(min(width, height) * scale))
    long = max(1, min(math.floor(max(width, height) * scale), max_pixels // short))
    return (long, short) if width >= height else (short, long)


def _encoded(small: object, mime: str) -> Image:
    """A resized picture as JPEG where it was one, else as PNG, which loses nothing further."""
    out = io.BytesIO()
    kind = "JPEG" if mime == "image/jpeg" else "PNG"
    small.save(out, kind, **({"quality": 92} if kind == "JPEG" else {"optimize": False}))  # type: ignore[attr-defined]
    return Image(f"image/{kind.lower()}", base64.b64encode(out.getvalue()).decode("ascii"))
