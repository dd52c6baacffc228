"""Items of `show --items`: JSON, CSV, or blocks of lines, each written as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from batchflow import files
from batchflow.cli.cards.base.card import title
from batchflow.cli.cards.base.text import clean, line, written

if TYPE_CHECKING:
    from batchflow.cli.typed import Typed
    from batchflow.steps.viewing.items import ItemView, JudgeView
    from batchflow.steps.viewing.listing import ItemsReport

WIDTH = 600
"""Characters of a text that a block shows; `--json` has all."""


def write_json(report: ItemsReport, out: TextIO, speak: Typed) -> None:
    """Write one document; its items are never in memory together."""
    from batchflow.steps.viewing.listing import document

    reader = report.reader
    head = {"name": reader.batch.name, "rehearsal": report.rehearsal, "field": reader.field, "judges": reader.judges}
    out.write(f'{files.dumps(head).decode()[:-1]},"items":[')
    out.writelines(
        "," * bool(number) + files.dumps(document(view)).decode() for number, view in enumerate(report.items())
    )
    tail = {"more": report.more, "notes": reader.notes, "next": report.next}
    closing = speak.document(tail, rehearsed=report.rehearsal)
    out.write(f"],{files.dumps(closing).decode()[1:]}\n")


def write_csv(report: ItemsReport, out: TextIO) -> None:
    """Write a table, its columns named in the first row."""
    from batchflow.report import cells
    from batchflow.steps.viewing import listing

    reader = report.reader
    rows = (listing.cells(view, reader.judges) for view in report.items())
    cells.write_csv(out, [listing.head(reader.judges)])
    cells.write_csv(out, rows)


def write_text(report: ItemsReport, out: TextIO, speak: Typed) -> None:
    """Write a block of lines for each item."""
    reader, count = report.reader, 0
    out.write(f"== items of {line(title(reader.batch.name, report.rehearsal))} ==\n")
    for view in report.items():
        count += 1
        rows = list(_rows(view))
        width = max(len(name) for name, _ in rows)
        number = f" #{view.sample}" if view.sample else ""
        out.write(f"\n{line(view.item, 80)}{number} (row {view.row}): {_standing(view)}\n")
        out.writelines(f"  {name + ':':<{width + 1}} {text}\n" for name, text in rows)
    out.write("" if count else "none\n")
    notes = [*reader.notes, *(("more items match; --limit 0 shows all",) if report.more else ())]
    out.write("\n" + "".join(f"note: {line(speak(note), 400)}\n" for note in notes))
    out.write(f"next: {speak(report.next)}\n")


def _standing(view: ItemView) -> str:
    """Standing of an item in a few words."""
    words = [view.outcome]
    if view.verdict is not None:
        words.append(f"{100 * view.verdict:.1f} of 100")
    if view.disagree:
        words.append("judges disagree")
    return ", ".join([*words, *(["flagged"] if view.flags else [])])


def _rows(view: ItemView) -> Iterator[tuple[str, str]]:
    from batchflow.steps.viewing.listing import picture_line

    cells = (
        ("Question", view.question),
        ("Context", view.context),
        ("Options", "; ".join(view.options)),
        *(("Picture", picture_line(picture)) for picture in view.pictures),
        ("Reference", "; ".join(view.references)),
        ("Answer", view.answer),
        ("Extracted", _extracted(view)),
        ("Error", view.error),
        *((line(judge.judge, 60), _judged(judge)) for judge in view.judges),
        ("Human", written(dict(view.human))),
        ("Flags", ", ".join(view.flags)),
        ("Columns", written(dict(view.columns))),
    )
    yield from ((name, line(text, WIDTH)) for name, text in cells if text)


def _extracted(view: ItemView) -> str:
    """The fields that are judged; nothing where they are the answer as it stands."""
    text = written(dict(view.extracted)) if view.extracted else ""
    if view.extracted is not None and list(view.extracted) == ["answer"]:
        text = str(view.extracted["answer"])
    return "" if text == view.answer else text


def _judged(judge: JudgeView) -> str:
    from batchflow.steps.viewing.listing import verdict_text

    values = written({name: f"{value:g}" for name, value in judge.values.items()})
    parts = (verdict_text(judge.share, judge.status), values, written(dict(judge.labels)), judge.reasons, judge.why)
    return clean("; ".join(part for part in parts if part))
