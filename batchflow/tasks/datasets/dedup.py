"""Set of texts already seen, in about twenty bytes each, so that a data set of any size fits into memory."""

from __future__ import annotations

from array import array

_ROOM = 1 << 15


class Seen:
    """A set of texts that keeps their 64-bit hashes only.

    When `add` says that a text is new, it is. When it says that a text came before, the caller has to confirm it: of
    40 million sets of a million texts, one holds two different texts with the same hash.
    """

    def __init__(self) -> None:
        self._slots = array("q", bytes(8 * _ROOM))  # open addressing; 0 is an empty slot
        self._used, self._last = 0, _ROOM - 1

    def add(self, text: str) -> bool:
        """Remember a text; returns whether it seems to have been there."""
        key, slots, last = hash(text) or 1, self._slots, self._last
        place = key & last
        while (there := slots[place]) != 0:
            if there == key:
                return True
            place = (place + 1) & last
        slots[place] = key
        self._used += 1
        if 2 * self._used > last:
            self._grow()
        return False

    def _grow(self) -> None:
        old, self._last = self._slots, 2 * len(self._slots) - 1
        slots, last = array("q", bytes(16 * len(old))), self._last
        for key in old:
            if key:
                place = key & last
                while slots[place]:
                    place = (place + 1) & last
                slots[place] = key
        self._slots = slots
