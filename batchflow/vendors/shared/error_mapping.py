"""Turning what an SDK or its transport raises into one VendorError whose `trouble` decides what happens next.

SDKs rename their exception classes between majors and sit on two transports (httpx and httpx2), so nothing here
imports either: status, code and body are read by attribute, transport errors by the names in their class line.

UNCERTAIN means that the call may have taken effect: verbs that change nothing are simply repeated, after `create`
only `find` may follow. TRANSIENT means that it certainly did not.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Container, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from batchflow.errors import Trouble, VendorError
from batchflow.vendors.shared import json_access

TEXT_CAP = 600
WORDS_CAP = 2000  # of each text that is searched: some patterns look on from every place
LONGEST_S = 86_400.0  # of a wish to be left alone

# The call never left this machine, so it cannot have taken effect.
_NOT_SENT = {
    "ConnectError",
    "ConnectTimeout",
    "PoolTimeout",
    "ProxyError",
    "UnsupportedProtocol",
    "ConnectionRefusedError",
    "gaierror",
}
# Of the transport, but the request may have arrived.
_MAYBE_SENT = {"TransportError", "TimeoutException", "ConnectionError", "TimeoutError", "APIConnectionError"}
# The request could not even be built: a stray byte in a key or file name, or a file that is gone.
_NOT_BUILT = {
    "LocalProtocolError",
    "InvalidURL",
    "UnicodeEncodeError",
    "FileNotFoundError",
    "PermissionError",
    "IsADirectoryError",
}

_ROOMS = (
    r"in (?:the |your )?(?:batch |processing )?queue|(?:concurrent|pending|active) (?:batch|job|request)"
    r"|batch(?:es)?[ _](?:creation|create|queue)"
)
_IN_QUEUE = re.compile(_ROOMS)
# Without a 429 such words mean a full queue only beside one of limits: "batch creation failed: no model x" is for good.
# `\A`: a long text that speaks of neither would be read through again from each of its letters.
_QUEUE = re.compile(
    r"enqueued|token_limit_exceeded|queue (?:is )?(?:full|limit)|too many (?:batch|pending|concurrent|active|job)"
    r"|batch(?:es)? per hour"
    rf"|\A(?=.*(?:limit|quota|exceed|too (?:many|high)|maximum|at most|capacity|reached)).*(?:{_ROOMS})",
    re.DOTALL,
)
_DEPLETED = re.compile(r"prepay|credits? (?:are |is )?(?:depleted|exhausted)")
_BILLING = re.compile(
    r"insufficient_quota|billing|credit balance|payment|prepay|credits? (?:are |is )?(?:depleted|exhausted)"
    r"|not_available_for_plan|spend(?:ing)? limit|budget (?:exceeded|limit)|exceeded your current quota",
)
_KEY = re.compile(r"api[ _]key (?:not valid|not found|expired)|api_key_invalid|invalid_api_key|invalid api key")
_BIG = re.compile(r"too[ _]large|(?:file|request|batch|body)\b.{0,40}\bexceeds|maximum (?:file|request|batch) size")
# POST /batches straight after the upload may not see the file yet (bespokelabsai/curator#116): no batch exists.
_FILE_LATE = re.compile(r"cannot find file|file .*(?:not (?:yet )?(?:ready|processed|active)|still processing)")
_NO_MODEL = re.compile(r"model_not_found")

_ROOM = "the job goes out when the vendor has room"
_LOWER = "lower requests or file_bytes under [limits.<vendor>] in batchflow.toml"

# The first rule that fits decides. Words come before bare numbers: vendors share few of the latter.
_RULES: tuple[tuple[Container[int], re.Pattern[str] | None, Trouble, str], ...] = (
    ((400, 403, 409, 422, 429), _QUEUE, Trouble.QUEUE_FULL, _ROOM),
    ((429,), _IN_QUEUE, Trouble.QUEUE_FULL, _ROOM),
    (range(400, 500), _BILLING, Trouble.BILLING, "waiting does not help: check plan and credit at the vendor"),
    ((402,), None, Trouble.BILLING, "waiting does not help: check plan and credit at the vendor"),
    ((401,), None, Trouble.AUTH, "check the key and its project"),
    ((400,), _KEY, Trouble.AUTH, "check the key and its project"),
    ((413,), None, Trouble.TOO_LARGE, _LOWER),
    ((400,), _BIG, Trouble.TOO_LARGE, _LOWER),
    ((400,), _FILE_LATE, Trouble.TRANSIENT, ""),
    ((403,), None, Trouble.AUTH, "the key has no right to this: check its project, plan and permissions"),
    ((404, 410), None, Trouble.NOT_FOUND, "check the model, the base URL, and whether the vendor still keeps it"),
    ((400, 422), _NO_MODEL, Trouble.NOT_FOUND, "check the model name"),
    ((425, 429, 498), None, Trouble.TRANSIENT, ""),  # 498: Groq's word for no capacity
    ((408, 409, 499), None, Trouble.UNCERTAIN, ""),  # 499: the client is said to have gone, nobody says how early
    (range(500, 600), None, Trouble.UNCERTAIN, ""),
    (range(300, 400), None, Trouble.REDIRECTED, "check the base URL: no redirect is followed"),
)

KEY_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key")
_LOOKS_LIKE_KEY = re.compile(
    r"""(?xi)
    (?:(?<![\w.-])[\w.-]{0,64}?)?  # the beginning of the word goes too: half a key no longer looks like the whole one
    \b(?:sk|pk|rk|gsk|tgp|xai|key)[-_][\w*.-]{6,}   # OpenAI, Anthropic, Groq, Together and their like
    | \bAIza[\w*-]{6,}                                        # Google
    | (?<=bearer\ )[^\s"',]+                                  # an Authorization header
    | (?<=[?&]key=)[^&\s"']+                                  # a key in a URL
    """
)


def explain(vendor: str, error: Exception) -> VendorError:
    """One exception of an SDK or transport, as ours, with the vendor's own words and without anything like a key."""
    if isinstance(error, VendorError):
        return error
    status = status_of(error)
    if status is None or status < 300:
        return _without_answer(vendor, error, status)
    payload = body_of(error)
    trouble, hint = _judge(status, payload, words_of(error, payload))
    return VendorError(
        f"{vendor}: HTTP {status}: {redact(_said(error, payload), keys_of(error))}",
        trouble=trouble,
        status=status,
        retry_after_s=retry_after(headers_of(error), payload),
        hint=hint,
    )


def says_queue_full(text: str | None) -> bool:
    """Tells whether a vendor's words mean that its batch queue has no room: nothing ran, send again later."""
    return bool(text and _QUEUE.search(text.lower()))


def redact(text: str, keys: tuple[str, ...] = ()) -> str:
    """The text with the given keys, and whatever else looks like one, replaced by stars."""
    for key in keys:
        text = text.replace(key, "***")
    return _LOOKS_LIKE_KEY.sub("***", text)


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an exception carries, under whichever name."""
    candidates = (
        getattr(error, "status_code", None),
        getattr(error, "code", None),
        getattr(getattr(error, "response", None), "status_code", None),
        getattr(getattr(error, "raw_response", None), "status_code", None),
    )
    return next((n for n in candidates if isinstance(n, int) and not isinstance(n, bool) and 100 <= n < 600), None)


def body_of(error: BaseException) -> Any:
    """The answer's body: JSON where it is JSON, else its text, else None."""
    for name in ("body", "details"):
        value = getattr(error, name, None)
        if isinstance(value, (dict, list)) and value:
            return value
        if isinstance(value, (str, bytes)) and value.strip():
            return _parsed(value)
    return None


def headers_of(error: BaseException) -> Mapping[str, str]:
    """The answer's headers with lower-case names."""
    for holder in (getattr(error, "response", None), getattr(error, "raw_response", None), error):
        headers = getattr(holder, "headers", None)
        if headers is not None and hasattr(headers, "items"):
            return {str(name).lower(): str(value) for name, value in headers.items()}
    return {}


def words_of(error: BaseException, payload: Any) -> str:
    """Everything that the answer says, in lower case, for the patterns above."""
    words = [json_access.error_text(payload) or "", str(getattr(error, "message", "") or "")]
    words += [str(getattr(error, name, "") or "") for name in ("code", "type", "status")]
    inner = json_access.dig(payload, "error")
    for holder in (payload, inner):
        words += [json_access.text(json_access.dig(holder, name)) or "" for name in ("code", "type", "status", "param")]
    words += [json_access.text(json_access.dig(detail, "reason")) or "" for detail in _details(payload)]
    return " ".join(part[:WORDS_CAP] for part in words).lower()


def retry_after(headers: Mapping[str, str], payload: Any = None, *, now: float | None = None) -> float | None:
    """Seconds that the vendor asks to wait: retry-after-ms, Retry-After (seconds or date), Google's RetryInfo.

    A day at most: what asks for more is a mistake, and would silence `get` for good.
    """
    stated = _seconds(headers.get("retry-after-ms"), 1000.0)
    if stated is None:
        stated = _seconds(headers.get("retry-after"), 1.0)
    if stated is None and headers.get("retry-after"):
        stated = _until(headers["retry-after"], time.time() if now is None else now)
    for detail in _details(payload) if stated is None else ():
        delay = json_access.text(json_access.dig(detail, "retryDelay"))
        stated = _seconds(delay.removesuffix("s"), 1.0) if delay else stated
    return None if stated is None else min(stated, LONGEST_S)


def keys_of(error: BaseException) -> tuple[str, ...]:
    """The keys that the failed request itself carried, so that no echo of them can show."""
    sent_headers = [_request_headers(holder) for holder in (error, getattr(error, "response", None))]
    values = [headers.get(name, "") for headers in sent_headers for name in KEY_HEADERS]
    bare = {value.split(" ")[-1] for value in values}
    return tuple(sorted((key for key in bare if len(key) >= 6), key=len, reverse=True))


def _request_headers(holder: Any) -> Mapping[str, str]:
    try:
        return getattr(getattr(holder, "request", None), "headers", None) or {}
    except RuntimeError:  # httpx: "The .request property has not been set."
        return {}


def _without_answer(vendor: str, error: Exception, status: int | None) -> VendorError:
    """No answer, or a success that cannot be read."""
    names = {cls.__name__ for link in _chain(error) for cls in type(link).__mro__}
    words = redact(str(error).strip() or type(error).__name__, keys_of(error))[:TEXT_CAP]
    if names & _NOT_BUILT:  # its text may quote a header, so only its class is told
        text = f"{vendor}: the request could not be built ({type(error).__name__})"
        return VendorError(
            text, trouble=Trouble.REFUSED, hint="look for stray characters in the key, base URL and path"
        )
    if names & _NOT_SENT:
        text, hint = f"{vendor}: cannot be reached: {words}", "check the network and the vendor's base URL"
        return VendorError(text, trouble=Trouble.TRANSIENT, hint=hint)
    if names & _MAYBE_SENT:
        text = f"{vendor}: the connection broke before the answer came: {words}"
        return VendorError(text, trouble=Trouble.UNCERTAIN)
    text = f"{vendor}: the answer could not be read ({type(error).__name__}: {words})"
    return VendorError(text, trouble=Trouble.UNCERTAIN, status=status, hint="check the vendor's base URL")


def _judge(status: int, payload: Any, words: str) -> tuple[Trouble, str]:
    """Classifies a refusal; returns its trouble and the hint."""
    if status == 429 and "resource_exhausted" in words and not _DEPLETED.search(words):
        # Google calls a rate limit and a full batch queue both "your current quota"; only RetryInfo tells them apart
        paced = retry_after({}, payload) is not None
        return (Trouble.TRANSIENT, "") if paced else (Trouble.QUEUE_FULL, _ROOM)
    for statuses, pattern, trouble, hint in _RULES:
        if status in statuses and (pattern is None or pattern.search(words)):
            return trouble, hint
    return Trouble.REFUSED, ""


def _said(error: BaseException, payload: Any) -> str:
    if isinstance(payload, str) and payload.lstrip()[:1] == "<":
        return "the answer is a web page, not the vendor's JSON"
    text = json_access.error_text(payload) or str(getattr(error, "message", "") or error) or type(error).__name__
    return " ".join(text.split())[:TEXT_CAP]


def _details(payload: Any) -> list[Any]:
    return json_access.items(json_access.dig(payload, "error", "details")) or json_access.items(
        json_access.dig(payload, "details")
    )


def _parsed(value: str | bytes) -> Any:
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it was raised from."""
    link: BaseException | None = error
    for _ in range(8):
        if link is None:
            return
        yield link
        link = link.__cause__


def _seconds(value: str | None, unit: float) -> float | None:
    try:
        stated = float(value) / unit if value else None
    except ValueError:
        return None
    return stated if stated is not None and 0 <= stated < 1e9 else None


def _until(value: str, now: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None
