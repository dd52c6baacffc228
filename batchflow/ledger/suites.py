"""Suites: batches that one name starts, judges and scores, and the groups of their table of scores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from batchflow.ledger.models import SUITES

_S = SUITES.c


class Member(NamedTuple):
    """One batch of a suite, by its label in tables and its name; the batch may not be there yet, or no more."""

    label: str
    batch: str


class Group(NamedTuple):
    """A row of the table of scores. how: macro, micro or weighted; labels: its members; weights: with weighted only."""

    name: str
    how: str
    labels: tuple[str, ...]
    weights: tuple[float, ...] = ()


class Suite(NamedTuple):
    """A suite, its members in order."""

    name: str
    members: tuple[Member, ...]
    groups: tuple[Group, ...]


def put(tx: sa.Connection, suite: Suite, *, now: datetime) -> None:
    """Keep a suite, in place of what it was."""
    values = {"members": [list(member) for member in suite.members], "groups": [list(group) for group in suite.groups]}
    changed = tx.execute(sa.update(SUITES).where(_S.name == suite.name).values(**values))
    if not changed.rowcount:
        tx.execute(sa.insert(SUITES).values(name=suite.name, made_at=now, **values))


def find(tx: sa.Connection, name: str) -> Suite | None:
    """The suite of that name, or None."""
    row = tx.execute(sa.select(SUITES).where(_S.name == name)).first()
    return _read(row) if row is not None else None


def of_batches(tx: sa.Connection, names: Sequence[str]) -> tuple[Suite, ...]:
    """The suites that have one of these batches."""
    return tuple(suite for suite in listing(tx) if any(member.batch in names for member in suite.members))


def listing(tx: sa.Connection) -> tuple[Suite, ...]:
    """All suites, oldest first."""
    return tuple(_read(row) for row in tx.execute(sa.select(SUITES).order_by(_S.id)))


def forget(tx: sa.Connection, name: str) -> None:
    """Remove a suite; its batches stay."""
    tx.execute(sa.delete(SUITES).where(_S.name == name))


def _read(row: Any) -> Suite:
    groups = tuple(Group(name, how, tuple(labels), tuple(weights)) for name, how, labels, weights in row.groups)
    return Suite(row.name, tuple(Member(*member) for member in row.members), groups)
