"""The protocol of a layout: how answers stand in files, those that this program writes and those that people bring.

A layout writes rows through an `Out`, which hides keys, hashes and renames, so that no layout has to think of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from batchflow.records import Item, Json
from batchflow.tasks.base import Known

Key = tuple[str, int]
"""(item, sample)"""


@dataclass(frozen=True, slots=True)
class About:
    """The batch whose answers are written. dataset: its place. params, spec: settings of the model and of the batch.

    made_at: when it was prepared, in UTC. requests: all of the batch, settled or not.
    """

    name: str
    provider: str
    model: str
    task: str
    split: str
    hints: int
    rehearsal: bool
    dataset: str
    made_at: datetime
    params: Mapping[str, Any]
    spec: Mapping[str, Any]
    requests: int = 0


class Said(NamedTuple):
    """One judge's verdict on an answer. value: as a share of the scale; label: the word, where the judge said one.

    extracted: what a verifier read out of the answer, any JSON value; None of other judges.
    """

    judge: str
    value: float | None
    label: str | None
    extracted: Any = None


class Verdicts(NamedTuple):
    """Verdict of a jury on an answer. value: the mean of its judges' verdicts; None where none is valid."""

    value: float | None
    said: tuple[Said, ...]


class Settled(NamedTuple):
    """One request that has ended, as the ledger and the vendor's row tell of it.

    original: the vendor's row as `files.dumps` takes it (its own bytes, where they are plain JSON), None without one.
    answer: the text that is judged, else the model's whole text. item: its row of the data set, for layouts that want
    items; None for others. known: its question and the right answers, where no more is wanted. verdicts: of its jury,
    for layouts that want them; None without one.
    """

    row_id: str | None
    item_id: str
    answer: str | None
    model: str | None
    original: Any
    outcome: str
    parsed: str | None
    error: str | None
    usage: Mapping[str, int] | None
    sample: int
    retried: bool
    custom_id: str
    item: Item | None = None
    verdicts: Verdicts | None = None
    known: Known | None = None

    @property
    def value(self) -> float | None:
        """The mean verdict; None without one."""
        return self.verdicts.value if self.verdicts else None


class Sink(Protocol):
    """An open file of a layout."""

    def write(self, data: bytes) -> None:
        """Append whole lines: a key is hidden where it stands in one piece."""


class Out(Protocol):
    """Folder of its own that a layout writes."""

    def file(self, name: str) -> AbstractContextManager[Sink]:
        """A file under this path within the folder, renamed into place at the end. Raises DataError for one outside."""


@dataclass(frozen=True, slots=True)
class Brought:
    """One row that somebody brings: an answer, or what a judge said about one. text None: there is none.

    model: who gave it, empty where the row does not say. where: file and line, for errors. columns: the row's own plain
    values. row: what the provider `import` keeps of it, see `vendors/inhouse/imported.py`.
    """

    key: Key
    text: str | None
    model: str
    where: str
    row: Json
    columns: Mapping[str, Any]


class Reader(Protocol):
    """Reads answers from files. A module satisfies it."""

    def recognises(self, path: Path) -> bool:
        """Tells whether `read` reads this file or folder, by its name and a look inside. It never raises."""

    def read(self, path: Path) -> Iterator[Brought]:
        """The rows of a file or folder. Raises DataError with file, line and field."""


class Layout(Reader, Protocol):
    """One layout. A module satisfies it."""

    @property
    def NAME(self) -> str:
        """The word that `results --layout` takes."""

    @property
    def ITEMS(self) -> bool:
        """Tells whether `write` wants each row's item, for which the data set is read again."""

    @property
    def VERDICTS(self) -> bool:
        """Tells whether `write` wants what the jury says about each row, as far as there is a jury."""

    def write(self, about: About, rows: Iterable[Settled], out: Out) -> None:
        """Write the rows of one batch, in their order, one in memory at a time."""
