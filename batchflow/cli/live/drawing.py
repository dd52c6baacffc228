"""Progress drawn for a terminal: a snapshot in, lines of rich text out. Texts from outside are never markup."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.text import Text

from batchflow.cli.cards.base.card import REHEARSED, title
from batchflow.cli.cards.base.columns import LEAST, fold
from batchflow.cli.cards.base.text import line, shortened, span
from batchflow.cli.live import wording

if TYPE_CHECKING:
    from batchflow.steps.watching.snapshot import BatchSnapshot, JobSnapshot, Problem, Snapshot

Speak = Callable[[str], str]

NARROWEST = 40
"""Columns that a drawing takes at least."""
INDENT = "   "
BAR, SHORT = 24, 10
"""Columns of a bar, where there is room: on a line of its own, and in a table."""
WIDE = 100
"""Columns of a terminal from which on a bar in a table has its whole length."""
PARTS = 8
"""Jobs of one batch that have a bar of their own."""
FOLDS, WHOLE = 2, 12
"""Lines that a reason or an advice takes at most: in a list, and where one batch is shown in full."""

_DONE, _FAILED, _OPEN = "green", "red", "bright_black"


def bar(one: BatchSnapshot | JobSnapshot, width: int, *, ascii_only: bool = False) -> Text:
    """A bar of the requests that are done and failed; every failure shows, and a bar is full only at the end."""
    total = max(one.requests, 1)
    lost = one.failed + one.cancelled
    failed = min(max(round(width * lost / total), int(lost > 0)), width)
    done = min(width * one.done // total, width - failed)
    whole, rest = ("#", "-") if ascii_only else ("━", "─")
    return Text.assemble((whole * done, _DONE), (whole * failed, _FAILED), (rest * (width - done - failed), _OPEN))


def bar_cell(batch: BatchSnapshot, columns: int) -> Text:
    """A bar and a gap in a table's cell, as long as a terminal of so many columns has room for."""
    size = SHORT if columns >= WIDE else SHORT // 2 if columns >= LEAST else 0
    return bar(batch, size) + Text(" ") if size else Text()


def title_cell(batch: BatchSnapshot, width: int | None = None, *, indent: str = "") -> Text:
    """Name of a batch in a table's cell; the mark of a rehearsal gets a line of its own where it has no room."""
    name = indent + wording.name(batch)
    text = title(name, wording.is_marked(batch))
    if width is not None and len(text) > width:
        text = "\n".join([shortened(name, width), *([REHEARSED] if wording.is_marked(batch) else [])])
    return Text(text, style="magenta" if batch.rehearsal else "")


def drawn(
    snapshot: Snapshot, *, elapsed_s: float, width: int, height: int, speak: Speak, ascii_only: bool = False,
    now: datetime | None = None,
) -> list[Text]:  # fmt: skip
    """The lines of a live view, no more than `height`. now: of the clock, where it is later than the snapshot."""
    width, now = max(width, NARROWEST), now or snapshot.at
    lines = _lines(snapshot, now, width, height - 2, speak, ascii_only=ascii_only)
    lines = [_head(snapshot, elapsed_s), *lines, foot()]
    for text in lines:
        text.truncate(width, overflow="ellipsis")
    return lines


def _lines(snapshot: Snapshot, now: datetime, width: int, height: int, speak: Speak, *, ascii_only: bool) -> list[Text]:
    """The lines of all batches: with their parts where there is room, else some batches as a count."""
    for parts in (PARTS, 0):
        blocks = [_block(batch, now, width, speak, ascii_only=ascii_only, parts=parts) for batch in snapshot.batches]
        if sum(map(len, blocks)) <= height:
            break
    else:
        return _cut(snapshot.batches, blocks, height)
    return [text for block in blocks for text in block]


def foot() -> Text:
    """The line below everything."""
    return Text("Ctrl-C: nothing is lost, and the same command goes on", style="dim")


def _cut(several: Sequence[BatchSnapshot], blocks: Sequence[list[Text]], height: int) -> list[Text]:
    """Blocks of open batches as far as there is room; the others as a count."""
    out: list[Text] = []
    hidden = 0
    pairs = sorted(zip(several, blocks, strict=True), key=lambda pair: not _is_hot(pair[0]))
    for block in (block for _, block in pairs):
        if len(out) + len(block) < height:
            out += block
        else:
            hidden += 1
    return (
        [*out, Text(f"{INDENT}and {hidden} more; batchflow watch shows all", style="dim")][:height] if hidden else out
    )


def _is_hot(batch: BatchSnapshot) -> bool:
    return batch.is_open or any(problem.needs_you for problem in batch.problems)


def details(batch: BatchSnapshot, now: datetime, width: int, speak: Speak) -> list[Text]:
    """One batch in full: facts, parts, and every reason with what to do."""
    facts = {
        "Asks": f"{batch.provider}, {batch.model}",
        "State": wording.state(batch),
        "Rows": "; ".join(filter(None, (wording.rows(batch), wording.outcomes(batch), wording.rate(batch.rate)))),
        "Cost": wording.money(batch.spent),
        "Expected": wording.expected(batch.spent),
        "Sent": f"{batch.begun_at:%Y-%m-%d %H:%M} UTC" if batch.begun_at else "",
        "End": wording.ending(batch, now),
    }
    lines = [Text(wording.heading(batch, width), style="bold"), Text()]
    for key, value in facts.items():
        pieces = fold(line(value, 400), max(width - 10, 20)) if value else []
        lines += [Text.assemble((f"{key if not n else '':<10}", "bold"), piece) for n, piece in enumerate(pieces)]
    lines += [Text(), bar(batch, min(width, BAR * 3)), Text()]
    lines += [_part_line(job, now) for job in batch.jobs]
    for problem in batch.problems:
        lines += [Text(), *_problem(problem, width, speak, folds=WHOLE)]
    for text in lines:
        text.truncate(width, overflow="ellipsis")
    return lines


def _head(snapshot: Snapshot, elapsed_s: float) -> Text:
    count = len(snapshot.batches)
    facts = [f"{count} {'batch' if count == 1 else 'batches'}", span(elapsed_s)]
    if spent := wording.money(snapshot.spent):
        facts.append(spent)
    return Text(", ".join(facts), style="bold")


def _block(
    batch: BatchSnapshot, now: datetime, width: int, speak: Speak, *, ascii_only: bool, parts: int
) -> list[Text]:
    """The lines of one batch: one where it is over, else its name, its bar, its parts and what is wrong."""
    lines = [_title(batch, width)]
    below = "" if batch.of is None else INDENT
    if batch.is_open:
        lines.append(_bar_line(batch, width - len(below), ascii_only=ascii_only))
        facts = [wording.outcomes(batch), wording.ending(batch, now)]
    else:
        facts = [wording.outcomes(batch), wording.money(batch.spent), wording.ending(batch, now)]
    if summary := "; ".join(fact for fact in facts if fact):
        lines += _folded(summary, width - len(below), style="dim")
    if batch.is_open and len(batch.jobs) > 1:
        lines += [_part_line(job, now, ascii_only=ascii_only) for job in _shown(batch, parts)]
    for problem in batch.problems:
        lines += _problem(problem, width - len(below), speak)
    return [Text(below) + text if number else text for number, text in enumerate(lines)]


def _title(batch: BatchSnapshot, width: int) -> Text:
    where = wording.state(batch)
    above = "" if batch.of is None else INDENT
    room = width - len(where) - len(above) - 2
    name = wording.heading(batch, room)
    stuck = any(problem.needs_you for problem in batch.problems)
    style = "bold red" if stuck else "cyan" if batch.is_open else "green"
    gap = " " * max(width - len(above) - len(name) - len(where), 2)
    return Text.assemble(above, (name, "bold magenta" if batch.rehearsal else "bold"), gap, (where, style))


def _bar_line(batch: BatchSnapshot, width: int, *, ascii_only: bool) -> Text:
    facts = [wording.rows(batch), wording.rate(batch.rate), wording.money(batch.spent)]
    text = "  ".join(fact for fact in facts if fact)
    size = max(8, min(BAR * 2, width - len(INDENT) - len(text) - 2))
    return Text(INDENT) + bar(batch, size, ascii_only=ascii_only) + Text(f"  {text}")


def _shown(batch: BatchSnapshot, most: int) -> list[JobSnapshot]:
    """Jobs that have a bar: those that are out first, as many as there is room for."""
    order = sorted(batch.jobs, key=lambda job: (not job.is_open, job.begun_at is None, job.part))
    return sorted(order[:most], key=lambda job: job.part)


def _part_line(job: JobSnapshot, now: datetime, *, ascii_only: bool = False) -> Text:
    pieces = [wording.rows(job), line(job.word or job.state.value, 20), wording.ending(job, now)]
    text = Text(f"{INDENT}part {job.part:<3} ") + bar(job, BAR // 2, ascii_only=ascii_only)
    return text + Text("  " + "  ".join(fact for fact in pieces if fact), style="dim")


def _problem(problem: Problem, width: int, speak: Speak, folds: int = FOLDS) -> list[Text]:
    style = "red" if problem.needs_you else "yellow"
    return [
        *_folded(wording.reason(problem), width, style=style, folds=folds, mark="! "),
        *_folded(f"what to do: {speak(wording.advice(problem))}", width, style=style, folds=folds, mark="  "),
    ]


def _folded(text: str, width: int, *, style: str, folds: int = FOLDS, mark: str = "") -> list[Text]:
    """A text on so many lines at most."""
    room = width - len(INDENT) - len(mark)
    pieces = fold(line(text, room * folds), room)
    if len(pieces) > folds:
        pieces = [*pieces[: folds - 1], f"{pieces[folds - 1][: room - 1]}…"]
    return [
        Text(f"{INDENT}{mark if number == 0 else ' ' * len(mark)}{piece}", style=style)
        for number, piece in enumerate(pieces)
    ]
