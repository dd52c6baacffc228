"""Set of texts already seen, in about twenty bytes each, so that a data set of any size fits into memory."""

from __future__ import annotations

from array import array
from pathlib import Path

_ROOM = 1 << 15
_BLOCK = 1 << 16
_MOST_ROOM = 1 << 22  # places that are taken on a mere guess


def likely_rows(path: Path) -> int:
    """Guesses the number of a file's rows from the lines at its beginning."""
    with path.open("rb") as handle:
        block = handle.read(_BLOCK)
    return path.stat().st_size * block.count(b"\n") // max(len(block), 1)


class Seen:
    """A set of texts that keeps their 64-bit hashes only.

    When `add` says that a text is new, it is. When it says that a text came before, the caller has to confirm it: of
    40 million sets of a million texts, one holds two different texts with the same hash.
    """

    def __init__(self, expected: int = 0) -> None:
        """expected: number of texts, by a guess, for which there is room without growing."""
        self._room = max(_ROOM, min(expected * 4 // 3, _MOST_ROOM))
        self._slots = array("q", bytes(8)) * self._room  # open addressing; 0 is an empty slot
        self._free = self._room * 4 // 5

    def add(self, text: str) -> bool:
        """Remember a text; returns whether it seems to have been there."""
        key, slots, room = hash(text) or 1, self._slots, self._room
        place = key % room
        while (there := slots[place]) != 0:
            if there == key:
                return True
            place = place + 1 if place + 1 < room else 0
        slots[place] = key
        self._free -= 1
        if not self._free:
            self._grow()
        return False

    def _grow(self) -> None:
        old, room = self._slots, 2 * self._room
        slots = array("q", bytes(8)) * room
        for key in old:
            if key:
                place = key % room
                while slots[place]:
                    place = place + 1 if place + 1 < room else 0
                slots[place] = key
        self._free = room * 4 // 5 - self._room * 4 // 5
        self._slots, self._room = slots, room
