"""Sheets by the jury's verdict: which answers are drawn, kept in the ledger, so that no label loses its weight."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchflow.errors import DataError, NotReady, UsageError
from batchflow.ledger import Tx, batches, request_rows, sheets
from batchflow.ledger.records import BatchRecord
from batchflow.ledger.sheets import Sheet
from batchflow.steps.base.context import Context
from batchflow.steps.judging import ballot as votes
from batchflow.steps.judging.ballot import Ballot
from batchflow.steps.judging.jury_lookup import chosen_jury

if TYPE_CHECKING:
    from batchflow.score.labelled.gold import Design

STRATA = {"a": "0 points", "b": "less than 50 points", "c": "50 points or more", "d": "100 points"}
"""Strata by their letters: the jury's value of an answer, of 100 points."""

_NONE = "-"
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Draw:
    """A stratified draw. rows: places of the drawn answers in the batch, from 1.

    strata: [answers, drawn ones] by the words for the stratum.
    """

    sheet: Sheet
    rows: frozenset[int]
    strata: dict[str, list[int]]


def draw(context: Context, batch: BatchRecord, *, n: int, seed: int) -> Draw:
    """Draw n answers of a judged batch by the jury's verdict on its overall field. Nothing is written.

    Raises NotReady without a verdict, UsageError where n is below the number of strata.
    """
    from batchflow.score.labelled.stratified import allocate

    marks, field = _marks(context, batch)
    places = {letter: [row for row, mark in enumerate(marks, 1) if mark == letter] for letter in STRATA}
    places = {letter: rows for letter, rows in places.items() if rows}
    if n < len(places):
        raise UsageError(
            f"--n {n}: the answers fall into {len(places)} strata by the jury's verdict, and each needs a label",
            hint=f"--n {10 * len(places)} or more",
        )
    rng = random.Random(seed)  # noqa: S311 - a sample, no secret
    sizes = allocate([len(rows) for rows in places.values()], n)
    drawn = {letter: rng.sample(rows, size) for (letter, rows), size in zip(sorted(places.items()), sizes, strict=True)}
    for letter, rows in drawn.items():
        for row in rows:
            marks[row - 1] = letter.upper()
    return Draw(
        Sheet(batch.id, field, seed, "".join(marks)),
        frozenset(row for rows in drawn.values() for row in rows),
        {STRATA[letter]: [len(places[letter]), len(rows)] for letter, rows in drawn.items()},
    )


def _marks(context: Context, batch: BatchRecord) -> tuple[list[str], str]:
    """The letter of each request's stratum, and the field that the verdicts are about."""
    from batchflow.score.values import item_values

    with context.ledger.read() as tx:
        judges = batches.judges_of(tx, batch.id)
    if not judges:
        raise NotReady(f"{batch.name} has not been judged", hint=f"batchflow jury {batch.name} --start")
    jury = chosen_jury(batch, judges)
    ballot = votes.of_batch(context, batch, jury.judges)
    try:
        values = item_values(ballot.votes(), ballot.field)
    except DataError as error:
        raise NotReady(f"{batch.name}: {error}", hint=f"batchflow score {batch.name}") from None
    names = (name for name, judged in zip(ballot.items, values.judged.tolist(), strict=True) if judged)
    verdicts = dict(zip(names, values.mean.tolist(), strict=True))
    with context.ledger.read() as tx:
        return [_letter(verdicts.get(name)) for name in _names(tx, batch)], ballot.field


def _letter(verdict: float | None) -> str:
    """The stratum of a verdict, a share of the scale."""
    if verdict is None:
        return _NONE
    if verdict <= _TINY or verdict >= 1 - _TINY:
        return "a" if verdict <= _TINY else "d"
    return "b" if verdict < 1 / 2 else "c"


def _names(tx: Tx, batch: BatchRecord) -> Iterator[str]:
    """The answers of a batch as its ballot names them, in the order of its requests."""
    many = batch.spec.get("samples", 1) != 1
    for request in request_rows.outcomes(tx, batch.id):
        yield f"{request.item_id} #{request.sample}" if many else request.item_id


def keep(context: Context, drawn: Draw) -> None:
    """Write a draw into the ledger."""
    with context.ledger.write(drawn.sheet.batch_id) as tx:
        sheets.put(tx, drawn.sheet, now=context.clock())


def with_design(context: Context, batch: BatchRecord, ballot: Ballot) -> Ballot:
    """The ballot with the strata of the batch's latest sheet; drawn are those of all sheets with the same strata."""
    with context.ledger.read() as tx:
        kept = sheets.of_batch(tx, batch.id)
        if not kept:
            return ballot
        names = list(_names(tx, batch))
    from dataclasses import replace

    return replace(ballot, design=_design(kept, names))


def _design(kept: tuple[Sheet, ...], names: list[str]) -> Design:
    from batchflow.score.labelled.gold import Design

    strata = kept[-1].marks.lower()
    alike = [sheet.marks for sheet in kept if sheet.marks.lower() == strata]
    return Design(
        {name: STRATA[letter] for name, letter in zip(names, strata, strict=True) if letter != _NONE},
        frozenset(name for marks in alike for name, mark in zip(names, marks, strict=True) if mark.isupper()),
    )
