"""A sheet of answers to judge as one HTML file: it is filled in offline, and saved as rows for `import labels`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

from batchflow import files
from batchflow.report.markup import join, tag
from batchflow.report.page import asset, embedded, metadata

SheetItem = tuple[Mapping[str, Any], Mapping[str, Any], list[str]]
"""Key of the answer, its texts, and its pictures as data URLs."""


def write(out: BinaryIO, name: str, fields: Sequence[Mapping[str, Any]], items: Iterable[SheetItem]) -> None:
    """Write the page. fields: what is labelled, each with the `column` that `import labels` takes and its `title`.

    `choices`: [text, value] to choose from; without any, a number from `low` to `high`.
    """
    style, script = asset("page.css"), asset("dom.js") + asset("sheet.js")
    meta = metadata(f"{name} · labels", style, script, images="data:")
    top = tag(
        "header",
        tag("div", tag("p", "batchflow labels", class_="eyebrow"), tag("h1", name),
            tag("p", "Judge each answer by the reference, then save. What you choose stays in this browser until then.",
                class_="about")),
        tag("button", "Save labels", id="save", type="button", class_="quiet"),
        class_="top",
    )  # fmt: skip
    keys = "Keys: 1, 2, ... first, second, ... choice, 0 leave open, j and k next and previous answer."
    main = tag(
        "main",
        tag("p", "", id="status", role="status", aria_live="polite"),
        tag("div", id="answers"),
        tag("p", keys, class_="about keys"),
        tag("noscript", "This sheet needs JavaScript; `labels sheet --format csv` does not."),
    )
    body = join(top, main)
    out.write(f'<!doctype html><html lang="en"><head>{meta}</head><body>{body}'.encode("utf-8", "replace"))
    listed = [{"keys": keys_of, "shown": shown, "pictures": pictures} for keys_of, shown, pictures in items]
    out.write(embedded("sheet", files.dumps({"name": name, "fields": fields, "items": listed})))
    out.write(f"<script>{script}</script></body></html>\n".encode())
