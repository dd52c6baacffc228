"""Drawings of few shapes, and their two writers' common part: the shapes, the palette and SVG."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

PALETTE = {
    "ink": "#1b2430",
    "faint": "#5d6b7e",
    "grid": "#d9dfe7",
    "axis": "#8a97a8",
    "accent": "#3550c8",
    "soft": "#c9d2f6",
    "good": "#1a7f4b",
    "bad": "#b3372f",
    "warn": "#9a6400",
    "none": "#8a97a8",
}
"""Colour of each role on white paper; the page's stylesheet names the same roles for both of its themes."""

FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    role: str
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    role: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A filled circle."""

    x: float
    y: float
    radius: float
    role: str


@dataclass(frozen=True, slots=True)
class Words:
    """One line of text. y: of its base line. anchor: start, middle or end."""

    x: float
    y: float
    text: str
    role: str = "ink"
    anchor: str = "start"
    size: float = 12.0
    bold: bool = False


Shape = Line | Box | Dot | Words


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes on a sheet. label: what it shows, for who cannot see it."""

    width: float
    height: float
    label: str
    shapes: tuple[Shape, ...]


def svg(drawing: Drawing, *, standalone: bool) -> str:
    """The drawing as SVG. standalone: a file with colours of its own; else a part of a page that names the roles."""
    size = f'viewBox="0 0 {_n(drawing.width)} {_n(drawing.height)}"'
    shapes = "".join(_shape(shape) for shape in drawing.shapes)
    label = escape(drawing.label)
    if not standalone:
        whole = f'width="{_n(drawing.width)}" height="{_n(drawing.height)}"'
        return f'<svg class="plot" {size} {whole} role="img" aria-label="{label}">{shapes}</svg>'
    head = f'xmlns="http://www.w3.org/2000/svg" {size} width="{_n(drawing.width)}" height="{_n(drawing.height)}"'
    paper = f'<rect width="{_n(drawing.width)}" height="{_n(drawing.height)}" fill="#ffffff"/>'
    style = f"<style>text{{font-family:{FONT}}}{_colours()}</style>"
    return f'<svg {head} role="img"><title>{label}</title>{style}{paper}{shapes}</svg>\n'


def _colours() -> str:
    return "".join(f".f-{role}{{fill:{colour}}}.s-{role}{{stroke:{colour}}}" for role, colour in PALETTE.items())


def _shape(shape: Shape) -> str:
    if isinstance(shape, Line):
        ends = f'x1="{_n(shape.x1)}" y1="{_n(shape.y1)}" x2="{_n(shape.x2)}" y2="{_n(shape.y2)}"'
        return f'<line class="s-{shape.role}" {ends} stroke-width="{_n(shape.width)}" stroke-linecap="round"/>'
    if isinstance(shape, Box):
        corner = f'x="{_n(shape.x)}" y="{_n(shape.y)}" width="{_n(shape.width)}" height="{_n(shape.height)}"'
        return f'<rect class="f-{shape.role}" {corner} rx="2"/>'
    if isinstance(shape, Dot):
        return f'<circle class="f-{shape.role}" cx="{_n(shape.x)}" cy="{_n(shape.y)}" r="{_n(shape.radius)}"/>'
    weight = ' font-weight="600"' if shape.bold else ""
    at = f'x="{_n(shape.x)}" y="{_n(shape.y)}" font-size="{_n(shape.size)}" text-anchor="{shape.anchor}"'
    return f'<text class="f-{shape.role}" {at}{weight}>{escape(printable(shape.text))}</text>'


def printable(text: str) -> str:
    """A text without characters that XML cannot hold."""
    return "".join(char if char.isprintable() else " " for char in text)


def short(text: str, most: int) -> str:
    """A text cut to a number of characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _n(value: float) -> str:
    """A coordinate, without digits that nobody sees.

    >>> _n(2.0), _n(2.345)
    ('2', '2.35')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".") or "0"
