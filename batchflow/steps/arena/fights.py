"""Battles with their reviews."""

from __future__ import annotations

from dataclasses import dataclass

from batchflow.steps.arena.grammar import Review

Battle = tuple[str, str, str | None, int]
"""(question, the left candidate, the right one, turn)"""


@dataclass(frozen=True, slots=True)
class Fought:
    """One battle and its review. left, right: as the reviewer saw them; of a single review the candidate, and None.

    order: 1 as the pair is named, 2 swapped. turn: of the conversation. prompt: the question to the reviewer, where it
    is known. judge: the reviewer, where a file names one. batch: of the ledger, that holds the review.
    """

    question: str
    category: str
    left: str
    right: str | None
    order: int
    review: Review
    text: str | None
    turn: int = 1
    prompt: str | None = None
    judge: str | None = None
    batch: str | None = None

    @property
    def key(self) -> Battle:
        """The battle: who was shown where, for which question and turn."""
        return self.question, self.left, self.right, self.turn
