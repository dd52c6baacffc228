"""The page: one HTML file with everything in it, written as the items come.

Its content security policy lets nothing run or load but the style and the script that stand in it, by their hashes.
Items stand in it compressed; the script takes them apart and shows each text as text.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from batchflow import files
from batchflow.records import Image
from batchflow.report.data import ReportData
from batchflow.report.markup import Markup, join, tag
from batchflow.report.sections import sections, tiles

BLOCK = 400
"""Items of a block, which is decompressed as a whole."""
INDEXED = 5_000
"""Items of a part of the index, which is in memory as a whole while it grows."""

_SNIPPET = 140
_HERE = Path(__file__).parent

PageItem = tuple[Mapping[str, Any], tuple[Image, ...]]
"""An item as `show --items --json` has it, and its pictures."""


def write(out: BinaryIO, report: ReportData, items: Iterable[PageItem], *, images: bool = True) -> int:
    """Write the page; returns how many items it holds. images: with the pictures."""
    style = asset("page.css")
    script = asset("dom.js") + asset("page.js")
    out.write(_head(report, style, script).encode("utf-8", "replace"))
    writer = _Items(out, images=images)
    for item, pictures in items:
        writer.add(item, pictures)
    writer.close()
    names = [batch.name for batch in report.batches]
    facts = {"title": report.title, "columns": list(report.columns), "batches": names,
             "rehearsal": report.rehearsal, "blocks": writer.blocks, "size": BLOCK,
             "indexes": writer.indexes, "items": writer.count}  # fmt: skip
    out.write(embedded("head", files.dumps(facts)))
    out.write(f"<script>{script}</script></body></html>\n".encode())
    return writer.count


def asset(name: str) -> str:
    """A file that stands in a page."""
    return (_HERE / name).read_text("utf-8")


def source(text: str) -> str:
    """The source that a policy allows: a style or a script by its hash."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def metadata(title: str, style: str, script: str, *, images: str, generator: str | None = None) -> Markup:
    """Head of a page: nothing may be loaded or run but this style and this script.

    images: the sources of pictures, in the words of a content security policy.
    """
    policy = (
        f"default-src 'none'; script-src {source(script)}; style-src {source(style)}; img-src {images}; "
        "base-uri 'none'; form-action 'none'"
    )
    return join(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="generator", content=generator) if generator is not None else None,
        tag("title", title),
        tag("link", rel="icon", href="data:,"),
        Markup(f"<style>{style}</style>"),
    )


def _head(report: ReportData, style: str, script: str) -> str:
    generator = f"batchflow {dict(report.versions).get('batchflow', '')}"
    title = f"{report.title} · batchflow report"
    meta = metadata(title, style, script, images="data: blob:", generator=generator)
    parts = sections(report)
    links = [(name, title) for name, title, _ in parts] + [("items", "Items")]
    nav = tag("nav", *(tag("a", title, href=f"#{name}") for name, title in links), aria_label="Sections")
    top = tag(
        "header",
        tag("div", tag("p", "batchflow report", class_="eyebrow"), tag("h1", report.title),
            tag("p", f"{report.field or 'not scored'} · made {_day(report.made_at)}", class_="about")),
        tag("button", "Theme", id="theme", type="button", class_="quiet", aria_label="Change the colour theme"),
        class_="top",
    )  # fmt: skip
    warning = (
        tag("p", tag("strong", "Rehearsal."), " These answers are made up: no model gave them.", class_="banner")
        if report.rehearsal
        else None
    )
    main = [
        tag("section", tag("h2", title, id=f"{name}-title"), content, id=name, aria_labelledby=f"{name}-title")
        for name, title, content in parts
    ]
    body = join(
        tag("a", "Skip to the items", href="#items", class_="skip"),
        top,
        nav,
        tag("main", warning, tiles(report), *main, _browser(report)),
    )
    return f'<!doctype html><html lang="en"><head>{meta}</head><body>{body}'


def _day(moment: str) -> str:
    return moment.replace("T", " ").replace("Z", " UTC")


def _browser(report: ReportData) -> Markup:
    """The frame of the item browser; the script fills it."""
    choices = [
        *_batches(report),
        select("verdict", "Verdict", [("", "any verdict"), ("right", "right"), ("wrong", "wrong"),
                ("disagree", "judges disagree"), ("none", "no verdict")]),
        select("outcome", "Outcome", [("", "any outcome")]),
        select("mark", "Mark", [("", "all items"), ("labelled", "labelled"), ("against", "label against jury"),
                ("flagged", "flagged")]),
        *(select(f"column-{n}", column, [("", f"any {column}")]) for n, column in enumerate(report.columns)),
        select("sort", "Order", [("", "data set order"), ("low", "lowest verdict first"),
                ("high", "highest verdict first")]),
    ]  # fmt: skip
    search = tag(
        "div",
        tag("label", "Search", for_="search", class_="unseen"),
        tag("input", id="search", type="search", placeholder="Search questions, answers, reasons…  ( / )",
            autocomplete="off", spellcheck="false"),
        class_="search",
    )  # fmt: skip
    bar = tag("form", search, *choices, tag("button", "Clear", id="clear", type="button", class_="quiet"),
              class_="filters", id="filters", role="search", aria_label="Items")  # fmt: skip
    return tag(
        "section",
        tag("h2", "Items", id="items-title"),
        bar,
        tag("p", "Reading the items…", id="status", role="status", aria_live="polite"),
        tag(
            "div",
            tag("div", tag("div", id="list", role="listbox", aria_label="Items", tabindex="0"), id="scroll"),
            tag("article", tag("p", "Choose an item.", class_="about"), id="detail", aria_label="Item", tabindex="0"),
            class_="browser", id="browser",
        ),
        tag("p", "Keys: j and k next and previous item, / search, Esc back, t theme.", class_="about keys"),
        tag("noscript", "The items need JavaScript; the sections above do not."),
        id="items",
        aria_labelledby="items-title",
    )  # fmt: skip


def _batches(report: ReportData) -> list[Markup]:
    """The choice of a batch, where there are several."""
    names = [(batch.name, batch.name) for batch in report.batches]
    return [select("batch", "Batch", [("", "all batches"), *names])] if len(names) > 1 else []


def select(name: str, label: str, options: list[tuple[str, str]]) -> Markup:
    """A choice. options: value and text of each."""
    chosen = tag("select", *(tag("option", text, value=value) for value, text in options), id=name, name=name)
    return tag("label", tag("span", label, class_="unseen"), chosen)


def embedded(name: str, data: bytes, kind: str = "application/json") -> bytes:
    """Data in the page. No `<` stands in it, so that nothing in it can end its element."""
    return f'<script type="{kind}" id="{name}">'.encode() + data.replace(b"<", b"\\u003c") + b"</script>\n"


class _Items:
    """Writes blocks of items as they come, and among them parts of an index of all."""

    def __init__(self, out: BinaryIO, *, images: bool) -> None:
        self._out, self._images = out, images
        self._block: list[Mapping[str, Any]] = []
        self._pictures: dict[str, str] = {}
        self._index: dict[str, list[Any]] = {name: [] for name in _INDEX}
        self.blocks = self.indexes = self.count = 0

    def add(self, item: Mapping[str, Any], pictures: tuple[Image, ...]) -> None:
        keys = [self._picture(picture) for picture in pictures] if self._images else []
        self._block.append({**item, "keys": keys})
        for name, value in zip(_INDEX, _indexed(item), strict=True):
            self._index[name].append(value)
        self.count += 1
        if len(self._block) == BLOCK:
            self._flush()
        if self.count % INDEXED == 0:
            self._flush_index()

    def close(self) -> None:
        if self._block:
            self._flush()
        self._flush_index()

    def _flush(self) -> None:
        self._compressed(f"block-{self.blocks}", self._block)
        self.blocks += 1
        self._block = []

    def _flush_index(self) -> None:
        self._compressed(f"index-{self.indexes}", self._index)
        self.indexes += 1
        self._index = {name: [] for name in _INDEX}

    def _compressed(self, name: str, value: Any) -> None:
        packed = base64.b64encode(zlib.compress(files.dumps(value), 6))
        self._out.write(embedded(name, packed, "text/plain"))

    def _picture(self, picture: Image) -> str:
        """Key of a picture, which stands in the page once."""
        key = hashlib.sha256(picture.data.encode()).hexdigest()[:24]
        if key not in self._pictures:
            self._pictures[key] = key
            self._out.write(embedded(f"picture-{key}", picture.url.encode(), "text/plain"))
        return key


def _is_against(item: Mapping[str, Any]) -> bool:
    """Tells whether a person's label and the jury's verdict are on two sides of the middle."""
    verdict, share = item["verdict"], item["human_share"]
    if verdict is None:
        return False
    labels = [value for value in item["human"].values() if isinstance(value, bool)] if share is None else [share >= 0.5]
    return any(value != (verdict >= 0.5) for value in labels)


_INDEX = ("batch", "item", "sample", "outcome", "verdict", "flags", "columns", "snippet")


def _indexed(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """Entry of an item in the list, with the values that filters look at."""
    human = item["human"].values()
    flags = 1 * item["disagree"] + 2 * bool(item["flags"]) + 4 * bool(human) + 8 * _is_against(item)
    verdict = None if item["verdict"] is None else round(item["verdict"], 4)
    text = item["question"] or item["answer"] or item["error"] or ""
    snippet = " ".join(text[: 2 * _SNIPPET].split())[:_SNIPPET]
    return (item["batch"], item["item"], item["sample"], item["outcome"], verdict, flags, item["columns"], snippet)
