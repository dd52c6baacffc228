"""Drawings as PNG, by Pillow (extra `images`), in its own font: the result is the same on every machine."""

from __future__ import annotations

import io
from typing import Any

from batchflow.errors import UsageError, install_extra
from batchflow.report.drawing import PALETTE, Box, Dot, Drawing, Line, Words, printable

SCALE = 3
"""Pixels for each unit of a drawing: 300 dpi at a column's width."""


def png(drawing: Drawing) -> bytes:
    """The drawing's PNG. Raises UsageError where Pillow is not installed."""
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise UsageError(
            "PNG plots need Pillow", hint=f"{install_extra('images')}; --format svg needs nothing"
        ) from None
    sheet = Image.new("RGB", (round(drawing.width * SCALE), round(drawing.height * SCALE)), "#ffffff")
    pen = ImageDraw.Draw(sheet)
    for shape in drawing.shapes:
        _draw(pen, shape)
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def _draw(pen: Any, shape: Line | Box | Dot | Words) -> None:
    colour = PALETTE[shape.role]
    if isinstance(shape, Line):
        ends = [shape.x1 * SCALE, shape.y1 * SCALE, shape.x2 * SCALE, shape.y2 * SCALE]
        pen.line(ends, fill=colour, width=max(1, round(shape.width * SCALE)))
    elif isinstance(shape, Box):
        corner = (shape.x * SCALE, shape.y * SCALE)
        pen.rectangle([*corner, corner[0] + shape.width * SCALE, corner[1] + shape.height * SCALE], fill=colour)
    elif isinstance(shape, Dot):
        x, y, radius = shape.x * SCALE, shape.y * SCALE, shape.radius * SCALE
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)
    else:
        _write(pen, shape, colour)


def _write(pen: Any, words: Words, colour: str) -> None:
    from PIL import ImageFont

    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[words.anchor]
    face = ImageFont.load_default(words.size * SCALE)
    edge = 1 if words.bold else 0
    at = (words.x * SCALE, words.y * SCALE)
    pen.text(at, printable(words.text), fill=colour, font=face, anchor=anchor, stroke_width=edge, stroke_fill=colour)
