"""A small drawing board on Pillow: logical pixels, drawn three times as large and scaled down for smooth edges."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

SCALE = 3
COLOURS = 40  # a small palette keeps the files small

INK = "#1f2430"
PAPER = "#fdfcf7"
RED = "#d1383d"
BLUE = "#2f6fd0"
GREEN = "#2f9e58"
YELLOW = "#f2c230"
GREY = "#b9bec9"
PALE = "#e6eaf2"

Point = tuple[float, float]


class Canvas:
    """width, height: size of the finished picture. Coordinates run right and down from the top left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self._image = Image.new("RGB", (width * SCALE, height * SCALE), PAPER)
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points: Sequence[Point], colour: str = INK, width: float = 2) -> None:
        """A polyline with round joints."""
        self._draw.line(_scaled(points), fill=colour, width=round(width * SCALE), joint="curve")
        if width > 3:
            for point in (points[0], points[-1]):
                self.circle(point, width / 2, fill=colour, outline=None)

    def rect(
        self, at: Point, size: Point, *, fill: str | None = None, outline: str | None = INK, width: float = 2
    ) -> None:
        """A rectangle by its top left corner and its size."""
        corner = (at[0] + size[0], at[1] + size[1])
        self._draw.rectangle(_scaled([at, corner]), fill=fill, outline=outline, width=round(width * SCALE))

    def circle(
        self, centre: Point, radius: float, *, fill: str | None = None, outline: str | None = INK, width: float = 2
    ) -> None:
        """A circle by its centre."""
        box = [(centre[0] - radius, centre[1] - radius), (centre[0] + radius, centre[1] + radius)]
        self._draw.ellipse(_scaled(box), fill=fill, outline=outline, width=round(width * SCALE))

    def polygon(self, points: Sequence[Point], *, fill: str | None = None, width: float = 2) -> None:
        """A closed polygon with an ink outline."""
        if fill is not None:
            self._draw.polygon(_scaled(points), fill=fill)
        self.line([*points, points[0], points[1]], width=width)

    def pie(self, centre: Point, radius: float, start: float, end: float, *, fill: str | None) -> None:
        """A slice; angles in degrees, clockwise from three o'clock."""
        box = [(centre[0] - radius, centre[1] - radius), (centre[0] + radius, centre[1] + radius)]
        self._draw.pieslice(_scaled(box), start, end, fill=fill, outline=INK, width=2 * SCALE)

    def text(self, centre: Point, text: str, *, size: float = 20, colour: str = INK) -> None:
        """Text centred on a point."""
        self._draw.text(_scaled([centre])[0], text, fill=colour, font=_font(size), anchor="mm")

    def stamp(self, centre: Point, text: str, *, size: float, mirrored: bool) -> None:
        """Text as a stamp, left and right swapped where mirrored."""
        side = round(size * 1.3 * SCALE)
        tile = Image.new("RGB", (side, side), PAPER)
        ImageDraw.Draw(tile).text((side / 2, side / 2), text, fill=INK, font=_font(size), anchor="mm")
        if mirrored:
            tile = tile.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        x, y = _scaled([centre])[0]
        self._image.paste(tile, (round(x - side / 2), round(y - side / 2)))

    def arrow(self, start: Point, end: Point, *, colour: str = INK, width: float = 3, head: float = 9) -> None:
        """A line with a filled head at its end."""
        angle = math.atan2(end[1] - start[1], end[0] - start[0])
        neck = polar(end, -head * 0.8, math.degrees(angle))
        self._draw.line(_scaled([start, neck]), fill=colour, width=round(width * SCALE))
        wings = [polar(end, -head * 1.3, math.degrees(angle) + turn) for turn in (-28, 28)]
        self._draw.polygon(_scaled([end, *wings]), fill=colour)

    def png(self) -> bytes:
        """The finished picture, the same bytes for the same drawing and library."""
        small = self._image.resize(self.size, Image.Resampling.LANCZOS)
        out = io.BytesIO()
        small.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        return out.getvalue()

    def jpeg(self) -> bytes:
        """The finished picture as JPEG, for riddles that show that both kinds work."""
        small = self._image.resize(self.size, Image.Resampling.LANCZOS)
        out = io.BytesIO()
        small.save(out, "JPEG", quality=70, optimize=True)
        return out.getvalue()


def polar(centre: Point, radius: float, degrees: float) -> Point:
    """The point at a distance and an angle, clockwise from three o'clock."""
    return centre[0] + radius * math.cos(math.radians(degrees)), centre[1] + radius * math.sin(math.radians(degrees))


def star(centre: Point, radius: float) -> list[Point]:
    """The ten corners of a five-pointed star."""
    return [polar(centre, radius if k % 2 == 0 else radius * 0.42, -90 + 36 * k) for k in range(10)]


def regular(centre: Point, radius: float, corners: int, turn: float = -90) -> list[Point]:
    """The corners of a regular polygon, the first one at the top."""
    return [polar(centre, radius, turn + 360 * k / corners) for k in range(corners)]


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def _font(size: float) -> ImageFont.FreeTypeFont:
    """Pillow's own font, so that the pictures do not depend on the fonts of a machine."""
    font = ImageFont.load_default(size * SCALE)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this Pillow was built without FreeType; install the ordinary wheel: pip install pillow")
    return font
