"""Estimates: what requests will cost, as a range, from their sizes and from what this ledger has seen so far.

The upper end is what a cap counts. Input: as many tokens as bytes, or what this model made of this task's bytes before,
and a quarter more. Output: the token limit, or twice the longest answer that was seen (four times, for fewer than 20).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from batchflow.prices.rates import Band, Quote, Rate, band_of
from batchflow.prices.sizes import Sizes

LEAST, FEW = 5, 20
"""Answers below which nothing is concluded from them, and below which it is concluded with more room."""

WRAPPED = 300
"""Bytes of a line that are no prompt: ids, the model's name, keys."""

LOW_RATIO, HIGH_RATIO = 0.15, 1.0
"""Tokens to a byte: the least of any text, and the most that there can be."""

LIKELY_RATIO = 0.27
"""Tokens to a byte of English text with its JSON, as current tokenizers make them."""

CACHEABLE = 1_000
"""Tokens of a prompt below which no vendor caches anything."""

_BLIND = (LOW_RATIO, LIKELY_RATIO, HIGH_RATIO)

PICTURE = (80, 1_100, 6_000)
"""Tokens of a picture: least, likely, most (vendors' pages, 2026-11-27)."""

MOST_OUTPUT = 128_000
"""Tokens of the longest answer of any model where no limit is sent."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Use of earlier requests of the same kind to the same model: requests, bytes of text and tokens.

    read: input tokens. said, longest: output tokens, of all and of the longest. text: 0 where it is not known.
    """

    requests: int = 0
    text: int = 0
    read: int = 0
    said: int = 0
    longest: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Expected cost of requests. low_usd, high_usd None: the price is not known. likely: None without experience.

    basis: what the numbers come from. why: why the price is a range or unknown.
    """

    requests: int
    input_low: int
    input_high: int
    output_low: int
    output_high: int
    low_usd: float | None
    high_usd: float | None
    likely_usd: float | None
    basis: tuple[str, ...]
    why: tuple[str, ...]
    source: str
    is_free: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def estimate(sizes: Sizes, quote: Quote, seen: Seen) -> Estimate:
    """Cost of requests of known sizes at a price. seen: experience, empty where there is none."""
    is_seen = seen.requests >= LEAST
    ratios = _ratios(seen, sizes)
    wrapped = WRAPPED if ratios == _BLIND else 0
    per_answer, room = (seen.said / seen.requests if is_seen else 0.0), (2 if seen.requests >= FEW else 4)
    low, likely, high = list[Band](), list[Band](), list[Band]()
    for (_, pictures, limit), (count, size) in sizes.rows.items():
        most = limit or MOST_OUTPUT
        answers = (per_answer / 2, per_answer, room * seen.longest) if is_seen else (1.0, per_answer, most)
        texts = (max(size / count - wrapped, 1), size / count, size / count)
        reads = [
            round(text * ratio + picture * pictures)
            for text, ratio, picture in zip(texts, ratios, PICTURE, strict=True)
        ]
        for band, read, answer in zip((low, likely, high), reads, answers, strict=True):
            band.append(Band(band_of(read), count, read * count, output=round(min(answer, most) * count)))
        if reads[2] >= CACHEABLE:  # the least that input can cost: a cache held every prompt already
            low[-1] = low[-1]._replace(cached=low[-1].input)
    expected = None if not is_seen or quote.high is None else quote.high.cost(likely)
    return Estimate(
        requests=sizes.requests,
        input_low=sum(band.input for band in low),
        input_high=sum(band.input for band in high),
        output_low=sum(band.output for band in low),
        output_high=sum(band.output for band in high),
        low_usd=None if quote.low is None else quote.low.cost(low),
        high_usd=None if quote.high is None else _without_cache(quote.high).cost(high),
        likely_usd=expected,
        basis=_basis(sizes, seen, is_seen=is_seen, room=room),
        why=tuple(text for text in (quote.why, *quote.notes) if text),
        source=quote.source,
        is_free=quote.is_free,
    )


def _ratios(seen: Seen, sizes: Sizes) -> tuple[float, float, float]:
    """Tokens to a byte at the low, the likely and the high end. Pictures hide what a text's bytes become."""
    if seen.requests < LEAST or not seen.text or sizes.pictures:
        return _BLIND
    ratio = seen.read / seen.text
    return ratio * 0.6, ratio, min(ratio * 1.25, HIGH_RATIO)


def _without_cache(rate: Rate) -> Rate:
    """The rate if every prompt were written to a cache that nobody reads: the most that input can cost."""
    return Rate(tuple(step._replace(input=max(step[1:5])) for step in rate.steps))


def _basis(sizes: Sizes, seen: Seen, *, is_seen: bool, room: int) -> tuple[str, ...]:
    limits = {limit for _, _, limit in sizes.rows}
    most = max(limits, default=0) if 0 not in limits else MOST_OUTPUT
    if is_seen:
        text = f"output: {seen.requests:,} answers of this model to this task, the longest {seen.longest:,} tokens"
        return (text, f"upper end: {room} × the longest, at most the limit of {most:,}")
    limit = f"{most:,} tokens an answer" + (", for no limit is sent" if 0 in limits else ", its limit")
    return (f"no answer of this model to this task is known yet; upper end: {limit}",)
