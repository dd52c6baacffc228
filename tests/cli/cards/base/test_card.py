from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from batchflow.cli.cards.base.card import Column, table_of, tabulated
from batchflow.cli.cards.base.encoder import plain
from batchflow.states import State


def test_cells_stand_by_their_names_below_their_headings():
    columns = {"name": "batch", "items": "items", "note": ""}
    table = tabulated(columns, [{"items": "3", "name": "a"}, {"note": "was there"}])
    assert table == (("batch", "items", ""), ("a", "3", ""), ("", "", "was there"))
    assert table_of([Column("n", str), Column("twice", lambda n: str(2 * n))], [4]) == (("n", "twice"), ("4", "8"))
    assert table_of([Column("n", str)], []) == ()
    with pytest.raises(KeyError, match="itmes"):
        tabulated(columns, [{"itmes": "3"}])


@dataclass(frozen=True)
class Inner:
    low: float
    state: State = State.RUNNING


@dataclass(frozen=True)
class Named:
    inner: Inner

    def to_json(self):
        return {"flat": self.inner.low, "inner": self.inner}


@dataclass(frozen=True)
class Outer:
    rows: tuple[Named, ...]
    counts: dict[str, int] = field(default_factory=dict)
    none: None = None


def test_typed_values_become_plain_ones_wherever_they_stand():
    told = plain([Outer((Named(Inner(0.5)),), {"a": 1})])
    row = {"flat": 0.5, "inner": {"low": 0.5, "state": "running"}}
    assert told == [{"rows": [row], "counts": {"a": 1}, "none": None}]
