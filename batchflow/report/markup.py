"""HTML as values: a text becomes markup by escaping alone, so that nothing from outside can become a tag.

And the blocks that the page's sections are made of: tables, figures, notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from batchflow.report.drawing import Drawing, svg


class Markup(str):
    """A text that is markup already."""

    __slots__ = ()


Child = Markup | str | None


def text(value: object) -> Markup:
    """A text as markup.

    >>> text("<b>")
    '&lt;b&gt;'
    """
    return Markup(escape(str(value)))


def join(*children: Child) -> Markup:
    """Children one behind the other; texts are escaped, None is nothing."""
    return Markup(
        "".join(child if isinstance(child, Markup) else text(child) for child in children if child is not None)
    )


def tag(name: str, /, *children: Child, **attributes: object) -> Markup:
    """An element. `class_` and `for_` are the attributes of that name; `_` within a name is `-`; None leaves it out.

    >>> tag("a", "1 < 2", href="#x", aria_label='"', hidden=True, title=None)
    '<a href="#x" aria-label="&quot;" hidden>1 &lt; 2</a>'
    """
    written = []
    for key, value in attributes.items():
        word = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {word}")
        elif value is not None and value is not False:
            written.append(f' {word}="{escape(str(value))}"')
    start = f"<{name}{''.join(written)}>"
    return Markup(start if name in _VOID else f"{start}{join(*children)}</{name}>")


_VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta"})


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str | Markup]], *, numbers: Sequence[int] = ()
) -> Markup:
    """A table with a caption for who hears it. numbers: its columns of numbers."""

    def cell(name: str, index: int, value: str | Markup, **more: object) -> Markup:
        return tag(name, value, class_="n" if index in numbers else None, **more)

    body = [
        tag("tr", *(cell("th" if i == 0 else "td", i, v, scope="row" if i == 0 else None) for i, v in enumerate(row)))
        for row in rows
    ]
    titles = tag("tr", *(cell("th", i, name, scope="col") for i, name in enumerate(head)))
    whole = tag("table", tag("caption", caption, class_="unseen"), tag("thead", titles), tag("tbody", *body))
    return tag("div", whole, class_="wide", tabindex="0", role="region", aria_label=caption)


def figure(drawing: Drawing) -> Markup:
    """A plot of the page."""
    return tag("div", Markup(svg(drawing, standalone=False)), class_="wide", tabindex="0", role="region",
               aria_label=drawing.label)  # fmt: skip


def note(*lines: str) -> Markup | None:
    """Notes below a table."""
    return tag("ul", *(tag("li", line) for line in lines), class_="notes") if lines else None
