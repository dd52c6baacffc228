"""show --items: the items of a batch that a person looks for, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from batchflow.errors import UsageError
from batchflow.records import Image
from batchflow.steps.base.context import Context
from batchflow.steps.viewing.items import ItemReader, ItemView, Selection, extracted_text, shown


@dataclass(slots=True)
class ItemsReport:
    """Items of a batch as a stream, which is read once. more: others match; known when the last item was read.

    limit: most items, 0 for all.
    """

    reader: ItemReader
    selection: Selection
    limit: int
    next: str
    more: bool = False

    @property
    def rehearsal(self) -> bool:
        """Tells whether the answers are made up."""
        return self.reader.batch.rehearsal

    def items(self) -> Iterator[ItemView]:
        """The items that are wanted, `limit` of them at most."""
        wanted = (view for view in self.reader if self.selection.takes(view))
        if not self.limit:
            yield from wanted
            return
        yield from islice(wanted, self.limit)
        self.more = next(wanted, None) is not None


def items_of(
    context: Context, name: str, *, kinds: Sequence[str] = (), by: Sequence[str] = (), limit: int = 20
) -> ItemsReport:
    """Items of a batch. by: `COLUMN=VALUE`. Raises UnknownBatch, UsageError."""
    pairs = [text.partition("=") for text in by]
    for text, (column, sign, _) in zip(by, pairs, strict=True):
        if not sign or not column:
            raise UsageError(f"--by {text}: COLUMN=VALUE is expected", hint="for example --by category=logic")
    selection = Selection(kinds=tuple(kinds), columns=tuple((column, value) for column, _, value in pairs))
    reader = ItemReader(context, name)
    columns = reader.columns() if pairs else ()
    if lacking := next((column for column, _, _ in pairs if column not in columns), None):
        raise UsageError(f"--by {lacking}: there is no such column", hint=f"columns: {', '.join(columns) or 'none'}")
    if {"disagree", "wrong"} & set(kinds) and reader.field is None:
        raise UsageError(f"{name} has not been judged", hint=f"batchflow jury {name} --start")
    return ItemsReport(reader, selection, limit, f"batchflow show {name}")


def document(view: ItemView) -> dict[str, Any]:
    """An item as one JSON object; pictures without their bytes."""
    return {
        "batch": view.batch,
        "item": view.item,
        "sample": view.sample,
        "row": view.row,
        "request": view.request,
        "question": view.question,
        "pictures": [picture_facts(picture) for picture in view.pictures],
        "context": view.context,
        "options": list(view.options),
        "references": list(view.references),
        "columns": dict(view.columns),
        "outcome": view.outcome,
        "error": view.error,
        "answer": view.answer,
        "extracted": view.extracted,
        "verdict": view.verdict,
        "disagree": view.disagree,
        "judges": [
            {
                "judge": judge.judge,
                "kind": judge.kind,
                "status": judge.status,
                "values": dict(judge.values),
                "labels": dict(judge.labels),
                "verdict": judge.share,
                "reasons": judge.reasons,
                "why": judge.why,
            }
            for judge in view.judges
        ],
        "human": dict(view.human),
        "human_share": view.human_share,
        "flags": list(view.flags),
        "model": view.model,
        "finish": view.finish,
        "retried": view.retried,
        "usage": None
        if view.usage is None
        else {
            "input_tokens": view.usage.input_tokens,
            "cached_tokens": view.usage.cached_tokens,
            "output_tokens": view.usage.output_tokens,
            "reasoning_tokens": view.usage.reasoning_tokens,
        },
    }


def picture_facts(picture: Image) -> dict[str, Any]:
    """A picture's path beside the data set (empty where the data set holds its bytes), type and size."""
    return {"path": picture.path, "type": picture.mime, "bytes": picture.size}


def picture_line(picture: Image) -> str:
    """A picture in words: its path, or its type and size where the data set holds its bytes."""
    return picture.path or f"in the data set ({picture.mime}, {picture.size:,} bytes)"


def head(judges: Sequence[str]) -> list[str]:
    """Names of the columns of a table of items."""
    return [*_FACTS, *(f"{word} of {judge}" for judge in judges for word in ("verdict", "reasons"))]


_FACTS: dict[str, Callable[[ItemView], Any]] = {
    "batch": lambda view: view.batch,
    "item": lambda view: view.item,
    "sample": lambda view: view.sample,
    "row": lambda view: view.row,
    "question": lambda view: view.question,
    "pictures": lambda view: "; ".join(map(picture_line, view.pictures)),
    "reference": lambda view: "; ".join(view.references),
    "answer": lambda view: view.answer,
    "extracted": extracted_text,
    "outcome": lambda view: view.outcome,
    "error": lambda view: view.error,
    "verdict": lambda view: view.verdict,
    "disagree": lambda view: view.disagree if view.judges else None,
    "human": lambda view: "; ".join(f"{name} {shown(value)}" for name, value in view.human.items()),
    "flags": lambda view: "; ".join(view.flags),
    "model": lambda view: view.model,
    "request": lambda view: view.request,
}
"""Columns of a table of items, in order, without those of the judges."""


def cells(view: ItemView, judges: Sequence[str]) -> list[Any]:
    """An item as one row of a table, in the order of `head`."""
    by_judge = {judge.judge: judge for judge in view.judges}
    own = [cell(view) for cell in _FACTS.values()]
    for name in judges:
        judge = by_judge.get(name)
        own += ["" if judge is None else verdict_text(judge.share, judge.status), judge.reasons if judge else ""]
    return own


def verdict_text(share: float | None, status: str) -> str:
    """A judge's verdict in a word or a number of 100 points: `right`, `wrong`, `66.7`, or the status of a lost vote."""
    if share is None:
        return status if status != "valid" else ""
    return {0.0: "wrong", 1.0: "right"}.get(share, f"{100 * share:.1f}")
