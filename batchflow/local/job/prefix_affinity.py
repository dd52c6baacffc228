"""Prompts that begin alike, and which endpoints have read such a beginning.

A server keeps what it computed for a prompt, and skips the part that the next prompt has in common with it (vLLM's
automatic prefix caching, SGLang's RadixAttention, llama.cpp's slots). With several servers that helps only when such
prompts meet at one of them: samples of an item, questions on one picture, a few-shot prefix.
"""

from __future__ import annotations

from collections import OrderedDict

STEPS = tuple(512 << n for n in range(8))  # bytes; below the first, a server has little to skip
KEPT = 1 << 15  # marks remembered, about 5 MB


def marks(prompt: bytes) -> tuple[int, ...]:
    """Hashes of a prompt's beginnings, the longest first: all of it (64 KiB at most), then 32, 16, ... 0.5 KiB.

    Several, because only the rows tell where their common part ends: a template's text is the same in all of them, a
    picture in some, and samples agree to the last byte.
    """
    whole = prompt[: STEPS[-1]]
    return (hash(whole), *[hash(whole[:step]) for step in reversed(STEPS) if step < len(whole)])


class Readers:
    """Endpoints (one bit each) that have read a prompt beginning; the least recently used entry goes first."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._read: OrderedDict[int, int] = OrderedDict()

    def of(self, marks: tuple[int, ...]) -> int:
        """The endpoints that have read the longest known beginning; 0 when none is known."""
        return next((bits for mark in marks if (bits := self._read.get(mark))), 0)

    def note(self, marks: tuple[int, ...], bit: int) -> None:
        """An endpoint reads this prompt."""
        for mark in marks:
            self._read[mark] = self._read.get(mark, 0) | bit
            self._read.move_to_end(mark)
        while len(self._read) > self._kept:
            self._read.popitem(last=False)
