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

AROUND = 0.35
"""Tokens to a byte of what stands around a prompt: its schema, roles, marks."""

CACHEABLE = 1_000
"""Tokens of a prompt below which no vendor caches anything."""

_BLIND = (LOW_RATIO, LIKELY_RATIO, HIGH_RATIO)

PICTURE = (80, 1_100, 6_000)
"""Tokens of a picture: least, likely, most (vendors' pages, 2026-11-27)."""

MOST_OUTPUT = 128_000
"""Tokens of the longest answer of any model where no limit is sent."""


@dataclass(frozen=True, slots=True)
class Caching:
    """Beginning of these prompts that a vendor keeps.

    by_itself: as it likes, or nobody knows yet. Else it keeps the beginning that all requests share and that it is
    asked to keep, which is written for an hour: bytes of its text and pictures; nothing where both are 0. fills:
    requests that go alone first, and so write it; 0 once it is written.
    """

    by_itself: bool = True
    bytes: int = 0
    pictures: int = 0
    fills: int = 1

    @property
    def is_asked_for(self) -> bool:
        """Tells whether the requests ask for a cache."""
        return not self.by_itself and bool(self.bytes or self.pictures)


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

    basis: what the numbers come from. why: why the price is a range or unknown. cache_tokens: of the beginning that
    the vendor is asked to keep, as is likely; 0 where it is not asked. saved_low_usd, saved_high_usd: what that is
    likely to save, where every request writes it (below 0) and where all but the first read it; None where the vendor
    is not asked, or the price is not known.
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
    cache_tokens: int = 0
    saved_low_usd: float | None = None
    saved_high_usd: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def estimate(sizes: Sizes, quote: Quote, seen: Seen, caching: Caching = Caching()) -> Estimate:
    """Cost of requests of known sizes at a price. seen: experience, empty where there is none."""
    is_seen = seen.requests >= LEAST
    ratios = _ratios(seen, sizes)
    room = 2 if seen.requests >= FEW else 4
    low, likely, high = _bands(sizes, ratios, seen, room=room if is_seen else 0)
    kept = [_kept(caching, ratio, picture) for ratio, picture in zip(ratios, PICTURE, strict=True)]
    saved: tuple[float | None, float | None] = (None, None)
    if caching.by_itself:
        low = [_all_read(band) for band in low]
    elif caching.is_asked_for:
        expected = _read_after(likely, kept[1], caching.fills)
        saved = _saved(quote, likely, _all_written(likely, kept[1])), _saved(quote, likely, expected)
        low, likely, high = _read_after(low, kept[0], 0), expected, _all_written(high, kept[2])
    dearest = None if quote.high is None else _without_cache(quote.high) if caching.by_itself else quote.high
    return Estimate(
        requests=sizes.requests,
        input_low=sum(band.input for band in low),
        input_high=sum(band.input for band in high),
        output_low=sum(band.output for band in low),
        output_high=sum(band.output for band in high),
        low_usd=None if quote.low is None else quote.low.cost(low),
        high_usd=None if dearest is None else dearest.cost(high),
        likely_usd=None if not is_seen or quote.high is None else quote.high.cost(likely),
        basis=_basis(sizes, seen, is_seen=is_seen, room=room),
        why=tuple(text for text in (quote.why, *quote.notes) if text),
        source=quote.source,
        is_free=quote.is_free,
        cache_tokens=kept[1] if caching.is_asked_for else 0,
        saved_low_usd=saved[0],
        saved_high_usd=saved[1],
    )


def likely_input(sizes: Sizes, seen: Seen) -> int:
    """Tokens of the prompts, as is likely: what a vendor's limit of enqueued tokens counts."""
    return sum(band.input for band in _bands(sizes, _ratios(seen, sizes), seen, room=0)[1])


def _bands(
    sizes: Sizes, ratios: tuple[float, float, float], seen: Seen, *, room: int
) -> tuple[list[Band], list[Band], list[Band]]:
    """Tokens at the low, the likely and the high end, without any cache. room: 0 without experience."""
    wrapped = WRAPPED if ratios == _BLIND else 0
    per_answer = seen.said / seen.requests if room else 0.0
    ends: tuple[list[Band], list[Band], list[Band]] = [], [], []
    for (_, pictures, limit), (count, size) in sizes.rows.items():
        most = limit or MOST_OUTPUT
        answers = (per_answer / 2, per_answer, room * seen.longest) if room else (1.0, per_answer, most)
        texts = (max(size / count - wrapped, 1), size / count, size / count)
        for end, text, ratio, picture, answer in zip(ends, texts, ratios, PICTURE, answers, strict=True):
            read = round(text * ratio + picture * pictures)
            end.append(Band(band_of(read), count, read * count, output=round(min(answer, most) * count)))
    return ends


def _kept(caching: Caching, ratio: float, picture: int) -> int:
    """Tokens of the beginning that the vendor is asked to keep."""
    return round(caching.bytes * ratio + caching.pictures * picture) if caching.is_asked_for else 0


def _all_read(band: Band) -> Band:
    """The least that input can cost: a cache held every prompt already."""
    return band._replace(cached=band.input) if band.input >= CACHEABLE * band.requests else band


def _all_written(bands: list[Band], tokens: int) -> list[Band]:
    """The most that input can cost: every request writes the beginning, and none reads it."""
    return [_written(band, min(tokens * band.requests, band.input)) for band in bands]


def _written(band: Band, tokens: int) -> Band:
    return band._replace(written=tokens, written_1h=tokens)


def _read_after(bands: list[Band], tokens: int, fills: int) -> list[Band]:
    """Bands of which the first requests write the beginning, and all others read it."""
    split = list[Band]()
    for band in bands:
        count = min(fills, band.requests)
        fills -= count
        each = min(tokens, band.input // band.requests)
        input_tokens, output = band.input * count // band.requests, band.output * count // band.requests
        if count:
            first = Band(band.length, count, input_tokens, output=output)
            split.append(_written(first, min(each * count, input_tokens)))
        if rest := band.requests - count:
            others = Band(band.length, rest, band.input - input_tokens, output=band.output - output)
            split.append(others._replace(cached=min(each * rest, others.input)))
    return split


def _saved(quote: Quote, without: list[Band], with_it: list[Band]) -> float | None:
    """USD that a cache saves; below 0 for a loss, None where the price is not known."""
    return None if quote.high is None else quote.high.cost(without) - quote.high.cost(with_it)


def _ratios(seen: Seen, sizes: Sizes) -> tuple[float, float, float]:
    """Tokens to a byte at the low, the likely and the high end. Pictures hide what a text's bytes become.

    A tokenizer's count is sure but for what the vendor adds around it, and for requests that were not counted.
    """
    count, size, tokens, around = sizes.counted
    if count:
        whole = tokens + around * AROUND
        room = 1.0 if count == sizes.requests else 1.25
        return tokens * 0.95 / size / room, (tokens + whole) / 2 / size, min(whole * room / size, HIGH_RATIO)
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
    read = _input_basis(sizes, seen)
    if is_seen:
        text = f"output: {seen.requests:,} answers of this model to this task, the longest {seen.longest:,} tokens"
        return (read, text, f"upper end: {room} × the longest, at most the limit of {most:,}")
    limit = f"{most:,} tokens an answer" + (" (no limit is sent)" if 0 in limits else ", its limit")
    return (read, f"no earlier answers of this model to this task; upper end: {limit}")


def _input_basis(sizes: Sizes, seen: Seen) -> str:
    """The way in which the tokens of the prompts were concluded."""
    count = sizes.counted[0]
    if count == sizes.requests and count:
        return "input: counted by the model's tokenizer"
    if count:
        return f"input: the first {count:,} requests counted by the model's tokenizer"
    ratios = _ratios(seen, sizes)
    if ratios == _BLIND:
        return f"input: {LOW_RATIO} to {HIGH_RATIO:g} tokens a byte, as no tokenizer of the model is at hand"
    return f"input: {ratios[1]:.2f} tokens a byte, as {seen.requests:,} earlier requests had"
