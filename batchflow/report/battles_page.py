"""The battles of an arena as one HTML page: both answers side by side, with what the reviewer says in each order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from batchflow.report.markup import Markup, join, note, table, tag
from batchflow.report.page import asset, metadata, select

NOBODY = "no verdict"


@dataclass(frozen=True, slots=True)
class Side:
    """One answer. text: None where it is not at hand."""

    model: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A review. heading: who was shown first. verdict: in words. conflict: the text names two verdicts."""

    heading: str
    verdict: str
    text: str | None
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Battle:
    """One pair, or one answer that is rated alone, with its reviews. verdict: of all its orders, in a word."""

    question_id: str
    category: str
    question: str
    sides: tuple[Side, ...]
    reviews: tuple[Shown, ...]
    verdict: str


@dataclass(frozen=True, slots=True)
class Head:
    """Top of the page. columns, rows: the table of ratings, if there is one. rehearsal: the answers are made up."""

    title: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    rehearsal: bool


def write(out: BinaryIO, head: Head, battles: Sequence[Battle]) -> None:
    """Write the page. Every text in it is escaped, and its policy lets nothing load or run but its own script."""
    style, script = asset("page.css"), asset("dom.js") + asset("battles.js")
    meta = metadata(f"{head.title} · batchflow arena", style, script, images="data:")
    out.write(f'<!doctype html><html lang="en"><head>{meta}</head><body>{_top(head)}<main>'.encode("utf-8", "replace"))
    out.write(_ratings(head).encode("utf-8", "replace"))
    out.write(b'<section id="battles"><h2>Battles</h2>')
    out.write(_filters(battles).encode("utf-8", "replace"))
    out.writelines(_battle(battle).encode("utf-8", "replace") for battle in battles)
    out.write(f"</section></main><script>{script}</script></body></html>\n".encode())


def _top(head: Head) -> Markup:
    words = (tag("p", "batchflow arena", class_="eyebrow"), tag("h1", head.title), tag("p", head.about, class_="about"))
    return tag("header", tag("div", *words), class_="top")


def _ratings(head: Head) -> Markup:
    warning = tag("p", tag("strong", "Rehearsal."), " These answers are made up: no model gave them.", class_="banner")
    numbers = tuple(range(2, len(head.columns)))
    content = join(table("Ratings", head.columns, head.rows, numbers=numbers) if head.rows else None, note(*head.notes))
    return join(warning if head.rehearsal else None, tag("section", tag("h2", "Ratings"), content) if content else None)


def _filters(battles: Sequence[Battle]) -> Markup:
    """Choices of category, model and verdict, and the count of what is chosen."""
    values = {
        "category": [battle.category for battle in battles],
        "model": [side.model for battle in battles for side in battle.sides],
        "verdict": [battle.verdict for battle in battles],
    }
    choices = [
        select(name, name.capitalize(), [("", f"any {name}"), *((each, each) for each in sorted(set(words)))])
        for name, words in values.items()
    ]
    clear = tag("button", "Clear", id="clear", type="button", class_="quiet")
    bar = tag("form", *choices, clear, class_="filters", id="filters", role="search", aria_label="Battles")
    return join(bar, tag("p", f"{len(battles):,} battles", id="status", role="status", aria_live="polite"))


def _battle(battle: Battle) -> Markup:
    names = " – ".join(side.model for side in battle.sides)
    summary = tag("summary", f"{battle.question_id} · {names} ", tag("span", battle.verdict, class_="badge accent"))
    sides = [
        tag("div", tag("h4", side.model), _text("the answer is not at hand" if side.text is None else side.text))
        for side in battle.sides
    ]
    inside = tag(
        "div", tag("h4", f"Question, {battle.category}"), _text(battle.question), tag("div", *sides, class_="columns"),
        *_reviews(battle.reviews), class_="answer",
    )  # fmt: skip
    models = "\n".join(side.model for side in battle.sides)
    data = {"data_category": battle.category, "data_model": models, "data_verdict": battle.verdict}
    return tag("details", summary, inside, class_="battle", **data)


def _reviews(reviews: Iterable[Shown]) -> Iterable[Markup]:
    for each in reviews:
        conflict = tag("span", "two verdicts", class_="badge warn") if each.conflict else None
        yield tag("h4", each.heading, ": ", tag("span", each.verdict, class_="badge"), " ", conflict)
        yield _text("no review" if each.text is None else each.text)


def _text(value: str) -> Markup:
    return tag("p", value, class_="text boxed")
