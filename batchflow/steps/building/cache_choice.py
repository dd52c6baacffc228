"""Choice of the beginning, shared by all requests of a batch, that a vendor is asked to keep.

Only for vendors that cache on request. It is off where it cannot help: a beginning that is shorter than the model
caches, or too few requests. A batch that stands already keeps what it was made with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from batchflow import files
from batchflow.errors import UsageError
from batchflow.ledger import batches
from batchflow.prices.estimates import LIKELY_RATIO, PICTURE
from batchflow.records import Image
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.prompt_cache import KEY, OFF, PromptCache
from batchflow.steps.building.asks import Ask
from batchflow.steps.building.batch_builder import Plan
from batchflow.vendors.registry import traits_of

LEAST = 10
"""Requests below which the saving is not worth the one that has to go first."""

LONGEST = 4_096
"""Tokens from which every model caches, as far as is known (2026-11-28)."""

WORDS = ("auto", OFF)


def check(flag: str | None) -> None:
    """Raise UsageError for a value of --cache that there is not."""
    if flag is not None and flag not in WORDS:
        raise UsageError(f"--cache {flag}: there is no such choice", hint=f"use one of {', '.join(WORDS)}")


def with_cache(context: Context, plan: Plan, asks: Callable[[], Iterable[Ask]], flag: str | None) -> Plan:
    """A plan with its cache decided. asks: makes the requests anew; they are read only where a cache might help."""
    check(flag)
    if not traits_of(plan.provider).caches_on_request:
        by_itself = traits_of(plan.provider).pays and flag == OFF
        note = f"--cache off: {plan.provider} caches by itself, and takes no word on it"
        return replace(plan, notes=(*plan.notes, note)) if by_itself else plan
    with context.ledger.read() as tx:
        standing = batches.find(tx, plan.name)
    if standing is not None and not (flag == OFF and PromptCache.of(standing.spec)):
        return _recording(plan, standing.spec.get(KEY))
    if flag == OFF:
        return _recording(plan, OFF)
    shared = shared_beginning(asks())
    if shared is None or likely_tokens(shared) < (plan.can.cache_from or LONGEST):
        return plan
    return _recording(plan, shared.to_json())


def _recording(plan: Plan, value: object) -> Plan:
    return plan if value is None else replace(plan, extra={**plan.extra, KEY: value})


def likely_tokens(shared: PromptCache) -> int:
    """Tokens of a beginning, by the stated ratio."""
    return round(shared.bytes * LIKELY_RATIO + shared.pictures * PICTURE[1])


def shared_beginning(asks: Iterable[Ask]) -> PromptCache | None:
    """The beginning that all requests share; None for fewer than `LEAST`, or with several system texts or schemas.

    It reads on as long as more may be shared than what the first request says is.
    """
    rest = iter(asks)
    first = next(rest, None)
    if first is None:
        return None
    parts, count = len(first.parts), 1
    for ask in rest:
        count += 1
        if ask.system != first.system or ask.schema != first.schema:
            return None
        parts = _alike(first, ask, parts)
        if count >= LEAST and parts <= first.shared:
            break
    if count < LEAST:
        return None
    leading = first.parts[:parts]
    schema_text = b"" if first.schema is None else files.dumps(first.schema.schema)
    texts = [part for part in leading if not isinstance(part, Image)]
    size = sum(len(text.encode("utf-8", "replace")) for text in (first.system, *texts)) + len(schema_text)
    return PromptCache(parts, size, len(leading) - len(texts))


def _alike(one: Ask, two: Ask, most: int) -> int:
    """Counts the leading parts that two requests have in common."""
    pairs = zip(one.parts[:most], two.parts, strict=False)
    alike = 0
    for left, right in pairs:
        if left != right:
            break
        alike += 1
    return alike
