"""Reasons for unanswered requests: their error texts, counted, each with an example and the advice about `retry`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from batchflow.ledger import Tx, request_rows
from batchflow.ledger.batches import by_id, request_range
from batchflow.ledger.records import BatchRecord, Failure, Tally
from batchflow.records import Kind, Outcome, Parsed
from batchflow.vendors.registry import traits_of

MOST_KINDS = 1_000
"""Different texts that are told apart; the rest is counted in one line, so that memory stays flat."""

_BROUGHT = "imported answers cannot be asked again"
BROUGHT_ANEW = "import them in that form under another --name; --task qa takes any text as it stands"
_UNREAD = "the answer could not be read"
_OTHER = "other texts"
_STATUS = re.compile(r"(?:\bHTTP |\bstatus(?: code)?:? |\bcode:? |^)([1-5]\d\d)\b")
_CHANGING = re.compile(
    r"(?<!HTTP )(?<!^)\b[\w.-]*\d[\w.-]*|0x[0-9a-fA-F]+"
)  # ids, counts, times: no part of the reason
_RPC = re.compile(r"^(\d{1,2}): ")
_HTTP_OF_RPC = {3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 11: 400, 12: 501, 13: 500, 14: 503, 16: 401}
"""Beginning of Google's row errors: a google.rpc.Code."""
_FOR_GOOD = frozenset({400, 404, 405, 410, 411, 413, 414, 415, 422, 501})
_ACCOUNT = frozenset({401, 402, 403})
_FOR_GOOD_WORDS = re.compile(
    r"invalid[_ ](?:request|argument|value|prompt|image)|unsupported|not supported|unknown parameter"
    r"|context (?:length|window)|too (?:long|large)|(?:does not|doesn't) exist|must be|is required",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|maximum context|too many (?:input |prompt )?tokens"
    r"|(?:prompt|input|request)\b[^.]{0,60}\b(?:too long|longer than)|prompt is too long",
    re.IGNORECASE,
)
"""Texts of servers and vendors for a prompt that, with the answer's limit, does not fit into the model's context."""
_PASSING_WORDS = re.compile(
    r"rate.?limit|overloaded|unavailable|time[d ]?.?out|server_error|api_error|internal error|try again", re.IGNORECASE
)
_LIMIT = re.compile(r"cut off|token limit|max_tokens|max_output_tokens|raise --max-tokens", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why requests are unanswered. kind: an outcome, or `unparsed`. text: of the first such request.

    custom_id, item, row: that request, its item, and its place in the batch, from 1. retry_helps: `yes`, `no` or
    `perhaps`. advice: what to do, a command where one helps.
    """

    kind: str
    count: int
    text: str
    custom_id: str
    item: str
    row: int
    retry_helps: str
    advice: str


def reasons(tx: Tx, batch: BatchRecord, tally: Tally) -> tuple[Reason, ...]:
    """Reasons for a batch's unanswered requests, the commonest first; texts that differ in ids alone are one."""
    if not tally.unanswered:
        return ()
    counts: dict[tuple[str, str], tuple[Failure, int]] = {}
    for failure in request_rows.failures(tx, batch.id):
        key, kept = (failure.kind, _CHANGING.sub("#", failure.error or "")), failure
        if key not in counts and len(counts) >= MOST_KINDS:
            key, kept = (failure.kind, _OTHER), failure._replace(error=_OTHER)
        first, count = counts.get(key, (kept, 0))
        counts[key] = (first, count + failure.requests)
    ranked = sorted(counts.values(), key=lambda entry: (-entry[1], entry[0].first))
    names = request_rows.names_of(tx, [first.first for first, _ in ranked])
    low = request_range(batch.id)[0]
    return tuple(_reason(tx, batch, first, count, names[first.first], first.first - low + 1) for first, count in ranked)


def can_retry(failures: tuple[Reason, ...]) -> bool:
    """Tells whether asking again can help any of the requests."""
    return any(reason.retry_helps != "no" for reason in failures)


def passing(batch: BatchRecord, failures: tuple[Reason, ...]) -> int:
    """Counts the requests that failed for a passing reason."""
    return sum(reason.count for reason in failures if is_passing(batch, reason.kind, reason.text))


def is_passing(batch: BatchRecord, kind: str, error: str | None) -> bool:
    """Tells whether the same request can be expected to be answered the next time."""
    text = error or kind
    return kind in _PASSES and not _LIMIT.search(text) and _verdict(batch, "", kind, text)[0] == "yes"


_PASSES = frozenset({Outcome.ERROR.value, Outcome.EXPIRED.value, Outcome.MISSING.value})


def _reason(tx: Tx, batch: BatchRecord, first: Failure, count: int, names: tuple[str, str], row: int) -> Reason:
    text = first.error or (_UNREAD if first.kind == Parsed.UNPARSED.value else first.kind)
    helps, advice = _verdict(batch, _retry(tx, batch), first.kind, text)
    return Reason(first.kind, count, text, *names, row, helps, advice)


def _retry(tx: Tx, batch: BatchRecord) -> str:
    """The command that asks a batch's unanswered requests again."""
    if batch.kind is not Kind.JUDGE:
        return f"batchflow retry {batch.name}"
    parent = by_id(tx, batch.parent_id).name if batch.parent_id is not None else batch.name
    return f"batchflow jury {parent} --retry"


def _verdict(batch: BatchRecord, retry: str, kind: str, text: str) -> tuple[str, str]:
    """Tells whether `retry` can help, and what to do."""
    unread = kind == Parsed.UNPARSED.value
    if traits_of(batch.provider).imported:
        return "no", f"{_BROUGHT}: {BROUGHT_ANEW}" if unread and batch.kind is not Kind.JUDGE else _BROUGHT
    command = f"{retry} --also unparsed" if unread and batch.kind is not Kind.JUDGE else retry
    status = _status(text)
    if kind == Outcome.ERROR.value and (advice := _refused_for_good(text, status)):
        return "no", advice
    if _LIMIT.search(text):
        return _with_a_higher_limit(batch, command)
    if status in _ACCOUNT:
        return "perhaps", f"check key and account, then {command}"
    if kind == Outcome.REFUSED.value:
        return "perhaps", f"the model may refuse again: {command}"
    sure = status is not None or kind not in {Outcome.ERROR.value, Parsed.UNPARSED.value}
    sure = sure or bool(_PASSING_WORDS.search(text))
    return ("yes" if sure else "perhaps"), command


def _refused_for_good(text: str, status: int | None) -> str | None:
    """The advice about a request that is refused each time; None for another one."""
    if _TOO_LONG.search(text):
        return "too long for the model's context: a model with a longer one, a shorter prompt, or fewer --max-tokens"
    if status in _FOR_GOOD or (status is None and _FOR_GOOD_WORDS.search(text)):
        return "retry does not help: the request itself is refused; prepare it differently"
    return None


def _status(text: str) -> int | None:
    """The HTTP status that a text names, or the one that means the same as its gRPC code."""
    if match := _STATUS.search(text):
        return int(match[1])
    code = _RPC.search(text)
    return _HTTP_OF_RPC.get(int(code[1])) if code else None


def _with_a_higher_limit(batch: BatchRecord, command: str) -> tuple[str, str]:
    """Returns the advice for a text that reached the token limit: `retry` cannot raise that of imported lines."""
    if batch.is_brought:
        return "no", "raise the token limit in the file of requests, and import it under another --name"
    return "yes", f"{command} --max-tokens {_more_tokens(batch)}"


def _more_tokens(batch: BatchRecord) -> int:
    """Twice the limit that was set, or a generous one."""
    return 2 * int(batch.params.get("max_tokens") or 8_192)
