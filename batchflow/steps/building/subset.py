"""A subset of a data set: `--ids FILE`, the ids of the items that are asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from batchflow import files
from batchflow.errors import DataError
from batchflow.records import Item
from batchflow.tasks.base import Asked

IDS = "ids"
Row = TypeVar("Row", Item, Item | Asked)


@dataclass(frozen=True, slots=True)
class Subset:
    """Ids of a file, in its order. sha256: of the file."""

    path: Path
    sha256: str
    ids: tuple[str, ...]

    @property
    def record(self) -> dict[str, Any]:
        """Record of it in a batch's spec."""
        return {"path": str(self.path.absolute()), "sha256": self.sha256, "count": len(self.ids)}

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows with these ids, in the order of the data set. Raises DataError at the end for ids that it lacks."""
        left = set(self.ids)
        for row in rows:
            if row[0] in left:
                left.remove(row[0])
                yield row
        if left:
            absent = [each for each in self.ids if each in left]
            shown = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
            raise DataError(
                f"{self.path}: {len(absent):,} of {len(self.ids):,} ids are not in the data set: {shown}",
                hint="an id is the data set's own, or the number of the row from 1; `show NAME --items` lists them",
            )


def read(path: Path | None) -> Subset | None:
    """The ids of a file: a line each, or a JSON list. Raises DataError."""
    if path is None:
        return None
    text = path.read_text("utf-8-sig", "replace")
    ids = _listed(path, text) if text.lstrip().startswith("[") else [line.strip() for line in text.splitlines()]
    ids = [each for each in ids if each]
    if not ids:
        raise DataError(f"{path}: it holds no id", hint="one id a line, or a JSON list")
    if twice := next((each for each, count in Counter(ids).items() if count > 1), None):
        raise DataError(f"{path}: id {twice} is there twice", hint="an item is asked --samples times")
    return Subset(path, files.sha256(path), tuple(ids))


def _listed(path: Path, text: str) -> list[str]:
    try:
        values = files.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error})") from None
    if not all(isinstance(value, str | int) and not isinstance(value, bool) for value in values):
        raise DataError(f"{path}: a list of ids, texts or whole numbers, is expected")
    return [str(value) for value in values]


def of_spec(spec: Mapping[str, Any]) -> Subset | None:
    """The subset that a batch was made of; None for a whole data set. Raises DataError where the file was changed."""
    if spec.get(IDS) is None:
        return None
    path = Path(spec[IDS]["path"])
    subset = read(path) if path.is_file() else None
    if subset is None or subset.sha256 != spec[IDS]["sha256"]:
        raise DataError(f"{path}: the list of ids {'was changed' if subset else 'is gone'}", hint="put it back")
    return subset
