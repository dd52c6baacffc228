"""Pairs that a judge compared in both orders: one verdict where both agree, else a tie or none."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from batchflow.errors import ArgumentError, UsageError

CHOICES = ("tie", "missing", "each")
_SWAPPED = {"left": "right", "right": "left", "tie": "tie"}


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """One verdict on two models' answers to a prompt. winner: left, right, tie, or None if it could not be read."""

    left: str
    right: str
    winner: str | None
    prompt: Hashable
    judge: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """Verdicts after both orders were settled.

    twice: pairs that were judged in both orders; agreed: those of them with one verdict; once: pairs in one order only.
    choice: what becomes of the others.
    """

    rows: tuple[PairVerdict, ...]
    twice: int
    agreed: int
    once: int
    choice: str


def settle(rows: Iterable[PairVerdict], choice: str = "tie") -> Settled:
    """One verdict for each judge, prompt and pair that was judged in both orders.

    choice: of orders that contradict each other. tie: nobody won; missing: the pair has no verdict; each: both orders
    count as verdicts of their own, as if nothing were settled. Several verdicts in one order count as their majority,
    of equal numbers as a tie; one that is not readable leaves the pair to the other order.
    Raises UsageError for another choice, ArgumentError for a winner that is none.

    >>> both = [PairVerdict("a", "b", "left", 1), PairVerdict("b", "a", "left", 1)]
    >>> [row.winner for row in settle(both).rows], [row.winner for row in settle(both, "missing").rows]
    (['tie'], [None])
    """
    if choice not in CHOICES:
        raise UsageError(f"there is no choice {choice!r} for two orders", hint=f"choose one of {', '.join(CHOICES)}")
    listed = list(rows)
    for place, row in enumerate(listed):
        if row.winner is not None and row.winner not in _SWAPPED:
            raise ArgumentError(f"verdict {place}: winner {row.winner!r:.60} is not left, right, tie or None")
    kept: list[PairVerdict] = []
    twice = agreed = once = 0
    for _, group in groupby(sorted(listed, key=_pair), key=_pair):
        pair = list(group)
        orders = [[row for row in pair if (row.left <= row.right) is straight] for straight in (True, False)]
        if not all(any(row.winner is not None for row in order) for order in orders):
            once += 1
            kept += [row for row in pair if row.winner is not None] or pair[:1]
            continue
        first, second = (_majority(order) for order in orders)
        is_agreed = first == _SWAPPED[second]
        twice, agreed = twice + 1, agreed + is_agreed
        if choice == "each":
            kept += pair
        else:
            kept.append(replace(orders[0][0], winner=first if is_agreed else {"tie": "tie", "missing": None}[choice]))
    return Settled(tuple(kept), twice, agreed, once, choice)


def _pair(row: PairVerdict) -> tuple[str, str, str, str, str]:
    prompt = row.prompt
    return row.judge, type(prompt).__name__, str(prompt), min(row.left, row.right), max(row.left, row.right)


def _majority(order: Sequence[PairVerdict]) -> str:
    words = [row.winner for row in order]
    left, right = words.count("left"), words.count("right")
    return "left" if left > right else "right" if right > left else "tie"
