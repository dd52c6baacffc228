"""The answers that a jury judged, and the requests without one, in the order of their batch."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from batchflow.errors import DamagedLedger
from batchflow.ledger.batches import request_range
from batchflow.ledger.records import BatchRecord, OutcomeRecord, columns_of, kind_of
from batchflow.ledger.request_rows import CHUNK
from batchflow.records import Outcome, Parsed
from batchflow.steps.base.progress.stages import place_of
from batchflow.steps.judging.counting.packed import Columns, Digests, Texts
from batchflow.texts import parsing
from batchflow.vendors.registry import traits_of

_OK, _UNPARSED = Outcome.OK.value, Parsed.UNPARSED.value


@dataclass(frozen=True, slots=True)
class Silent:
    """An unanswered request, as the answers of a ballot are told: name, item, cluster and columns."""

    name: str
    item: str
    cluster: str
    columns: Mapping[str, Any]
    kind: str
    place: int = 0


class Answers:
    """The answers of a batch by their names, items, clusters and columns; silent: its unanswered requests.

    low: the id of the batch's first request. Samples of one item, and items that ask the same, are one observation;
    imports do not tell what was asked.
    """

    def __init__(self, parent: BatchRecord) -> None:
        self._many = parent.spec.get("samples", 1) != 1
        self._is_imported = traits_of(parent.provider).imported
        self.owners = Texts()
        self.names = Texts() if self._many else self.owners
        self._contents = Digests()
        self.clusters = self.owners if self._is_imported else self._contents
        self.columns = Columns(partial(columns_of, "of this batch"))
        self.low = request_range(parent.id)[0]
        self.places, self._index_of = array("q"), array("i")  # the second by a request's place; -1 without an answer
        self.silent: list[Silent] = []
        self._first: dict[str, str] = {}  # what an item's first sample asked: a further one may differ in its seed

    def add_all(self, requests: Iterable[OutcomeRecord]) -> None:
        """Take the requests in their order. Raises DamagedLedger for columns that are none."""
        left = iter(requests)
        while rows := list(islice(left, CHUNK)):
            _, _, _, outcomes, parsed, *_ = zip(*rows, strict=True)
            if self._many or set(outcomes) != {_OK} or _UNPARSED in parsed:
                self._add(self._answered(rows))
            else:
                self._add(rows)

    def index(self, place: int) -> int:
        """The place among these of the answer to a request, by the request's own in its batch; -1 without an answer."""
        return self._index_of[place] if 0 <= place < len(self._index_of) else -1

    def indexes(self, places: Iterable[int]) -> array[int]:
        """`index` of many."""
        known, count = self._index_of, len(self._index_of)
        return array("i", [known[place] if 0 <= place < count else -1 for place in places])

    def _answered(self, rows: Sequence[OutcomeRecord]) -> list[OutcomeRecord]:
        """The answered ones, each with what it is an observation of in place of its content; others are silent."""
        answered = []
        for row in rows:
            content = row.item_id if self._is_imported else row.content
            unit = self._first.setdefault(row.item_id, content) if self._many else content
            if row.has_answer:
                answered.append(row._replace(content=unit))
            else:
                self.silent.append(
                    Silent(self._name(row), row.item_id, unit, row.groups, _failure(row), place_of(row.id))
                )
        return answered

    def _name(self, row: OutcomeRecord) -> str:
        return f"{row.item_id} #{row.sample}" if self._many else row.item_id

    def _add(self, rows: Sequence[OutcomeRecord]) -> None:
        if not rows:
            return
        ids, owners, _, _, _, _, columns, contents = zip(*rows, strict=True)
        places = list(map(place_of, ids))
        start = len(self.places)
        self._index_of.extend([-1] * (places[-1] + 1 - len(self._index_of)))
        if places[-1] - places[0] == len(places) - 1:
            self._index_of[places[0] : places[-1] + 1] = array("i", range(start, start + len(places)))
        else:
            for index, place in enumerate(places, start):
                self._index_of[place] = index
        self.places.extend(places)
        self.owners.extend(owners)
        if self._many:
            self.names.extend(list(map(self._name, rows)))
        if not self._is_imported:
            self._contents.extend(contents)
        try:
            self.columns.extend(columns)
        except DamagedLedger:
            for row in rows:  # the request that it is
                columns_of(row.id, row.columns)
            raise


def _failure(request: OutcomeRecord) -> str:
    """The kind of an unanswered request; a text that was cut off is one of its own."""
    if request.outcome is None:
        return "pending"
    why = request.error or ""
    if why.startswith((parsing.Unread.CUT_OFF.value, parsing.Unread.THOUGHT.value)):
        return "cut_off"
    return kind_of(request.outcome, request.parsed)
