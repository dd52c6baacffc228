"""Layout `tree`, as a package of somebody else's brings it: a folder for each model, a text file for each answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from batchflow.layouts.base import About, Brought, Out, Settled

NAME = "tree"
ITEMS = True
VERDICTS = False
_MARK = "tree.txt"


def write(about: About, rows: Iterable[Settled], out: Out) -> None:
    with out.file(f"{about.name}/{_MARK}") as sink:
        sink.write(about.model.encode())
    for row in rows:
        with out.file(f"{about.name}/{row.item_id}.{row.sample}.txt") as sink:
            question = row.item.question if row.item else ""
            sink.write(f"{question}\n{row.answer or ''}".encode())


def recognises(path: Path) -> bool:
    return (path / _MARK).is_file()


def read(path: Path) -> Iterator[Brought]:
    model = (path / _MARK).read_text()
    for each in sorted(path.glob("*.*.txt")):
        item, sample, _ = each.name.split(".")
        answer = each.read_text().partition("\n")[2]
        row = {"custom_id": item, "answer": answer, "model": model}
        yield Brought((item, int(sample)), answer, model, str(each), row, {})
