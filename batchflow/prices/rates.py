"""Rates: what tokens cost, by the length of the prompt, and the arithmetic of a bill.

A bill is made row by row: where a price rises with the length of the prompt, the sum of many short prompts is not one
long prompt. Rows whose prompts are of the same length in thousands of tokens may be added up first (`Band`), because
prices change at multiples of a thousand only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

BAND = 1_000
"""Tokens of prompt by which rows are added up."""

MILLION = 1_000_000


class Band(NamedTuple):
    """Tokens of the rows whose prompts have the same length. length: in thousands, 0 for 1 to 1,000 tokens.

    cached, written: the parts of the input that were read from and written to a cache. written_1h: the part of written
    that is kept for an hour. reasoning: the part of output that is thinking, which is billed as output.
    """

    length: int
    requests: int
    input: int
    cached: int = 0
    written: int = 0
    written_1h: int = 0
    output: int = 0
    reasoning: int = 0


def band_of(input_tokens: int) -> int:
    """The band of a prompt.

    >>> band_of(1), band_of(1_000), band_of(1_001)
    (0, 0, 1)
    """
    return (max(input_tokens, 1) - 1) // BAND


class Step(NamedTuple):
    """USD per million tokens of a request whose prompt is longer than `above` tokens."""

    above: int
    input: float
    cached: float
    written: float
    written_1h: float
    output: float


@dataclass(frozen=True, slots=True)
class Rate:
    """Prices by the length of the prompt; the first step is above 0, the longest that a prompt passes counts."""

    steps: tuple[Step, ...]

    def step(self, length: int) -> Step:
        """The step that a band's rows are billed by."""
        return next(step for step in reversed(self.steps) if length * BAND >= step.above or step.above == 0)

    def cost(self, bands: Iterable[Sequence[int]]) -> float:
        """USD for rows, each at the prices of its own length. bands: as `Band`."""
        return sum(_billed(self.step(band[0]), Band(*band)) for band in bands)

    def saved(self, bands: Iterable[Sequence[int]]) -> float:
        """USD that the cache saved: what its reads cost less, without what its writes cost more; below 0 for a loss."""
        saved = 0.0
        for band in (Band(*band) for band in bands):
            plain = band._replace(cached=0, written=0, written_1h=0)
            step = self.step(band.length)
            saved += _billed(step, plain) - _billed(step, band)
        return saved

    def scaled(self, factor: float) -> Rate:
        """The same rate at a share of the price."""
        return Rate(tuple(Step(step.above, *(price * factor for price in step[1:])) for step in self.steps))

    def dearer(self, other: Rate) -> Rate:
        """At each length the higher of two prices."""
        edges = sorted({step.above for rate in (self, other) for step in rate.steps})
        pairs = ((edge, self.step(edge // BAND), other.step(edge // BAND)) for edge in edges)
        return Rate(tuple(Step(edge, *map(max, one[1:], two[1:])) for edge, one, two in pairs))


def _billed(step: Step, band: Band) -> float:
    plain = band.input - band.cached - band.written
    return (
        plain * step.input
        + band.cached * step.cached
        + (band.written - band.written_1h) * step.written
        + band.written_1h * step.written_1h
        + band.output * step.output
    ) / MILLION


FREE = Rate((Step(0, 0.0, 0.0, 0.0, 0.0, 0.0),))
"""The rate of whoever computes on a machine of their own."""


@dataclass(frozen=True, slots=True)
class Quote:
    """Price of one model's batch on a day. low, high: equal where it is known; both None where nothing is known.

    source: where the numbers come from. why: why the price is not known, empty where it is. notes: what else has to be
    said. is_free: nobody is paid.
    """

    provider: str
    model: str
    low: Rate | None
    high: Rate | None
    source: str
    why: str = ""
    notes: tuple[str, ...] = ()
    is_free: bool = False

    @property
    def is_known(self) -> bool:
        """Tells whether the price is one, and no range."""
        return self.low is not None and self.low == self.high

    def until(self, later: Quote) -> Quote:
        """The quote of work that may still be billed on a later day, when prices may have risen."""
        if self.high is None or later.high is None or self.high == later.high:
            return self
        return replace(self, high=self.high.dearer(later.high), why=self.why or f"the price changes: {later.source}")
