"""HTML as values: a text becomes markup by escaping alone, so that nothing from outside can become a tag."""

from __future__ import annotations

from html import escape


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
