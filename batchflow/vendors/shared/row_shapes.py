"""Raw rows of the usual shape, read straight from their bytes: the fast way beside each vendor's `decode`.

One typed shape for each format. A row that differs from it in anything, or that holds no plain answer, is left to
`parsing.read_row`, which takes any bytes: so the two ways never disagree, and only `decode` says what a row means.
This module is the home of msgspec, which takes 14 ms to import: it is imported when rows are read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from keyword import iskeyword
from typing import Annotated, Any, Literal

import msgspec

from batchflow.records import Json, Schema

MOST = 2**31 - 1
"""The largest count that a database's INTEGER holds."""

Tokens = tuple[int | None, int | None, int | None, int | None, int | None, int | None]
"""The tokens of `records.Usage` in its order; None where the vendor counts none."""

Plain = tuple[str, str, str | None, str | None, str | None, Tokens]
"""A row of outcome `ok`: custom_id, text, model, row id, finish, tokens.

Its text is the model's own. Where `thoughts.behind` reads another one out of it, `decode` has to read the row.
"""

Read = Callable[[bytes], Plain | None]
"""Reads one line; None for a line that `decode` has to read."""

NO_TOKENS: Tokens = (None, None, None, None, None, None)

Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)] | None
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Struct(msgspec.Struct, gc=False):
    """A JSON object, of which unknown fields are skipped."""


# -- chat completions -------------------------------------------------------------------------------------------------


class _Cached(_Struct):
    cached_tokens: Count = None
    cache_write_tokens: Count = None


class _Reasoned(_Struct):
    reasoning_tokens: Count = None


class _ChatUsage(_Struct):
    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_tokens_details: _Cached | None = None
    completion_tokens_details: _Reasoned | None = None
    num_cached_tokens: Count = None
    reasoning_tokens: Count = None


class _ChatMessage(_Struct):
    content: _Text
    refusal: Literal[""] | None = None


class _Choice(_Struct):
    message: _ChatMessage
    finish_reason: _Text


class _ChatBody(_Struct):
    model: _Text
    choices: list[_Choice]
    usage: _ChatUsage | None = None
    object: str | None = None
    output: None = None  # the body of /v1/responses has one


class _ChatResponse(_Struct):
    status_code: Literal[200]
    body: _ChatBody


class _ChatRow(_Struct):
    custom_id: _Text
    id: _Text
    response: _ChatResponse
    error: None = None


def _chat(row: _ChatRow, failed: Collection[str] = ("content_filter",)) -> Plain | None:
    body = row.response.body
    if not body.choices or body.object == "response":
        return None
    choice, used, tokens = body.choices[0], body.usage, NO_TOKENS
    if choice.finish_reason in failed:
        return None
    if used is not None:
        cached, reasoned = used.prompt_tokens_details, used.completion_tokens_details
        tokens = (
            used.prompt_tokens or 0,
            (cached and cached.cached_tokens) or used.num_cached_tokens or 0,
            used.completion_tokens or 0,
            (reasoned and reasoned.reasoning_tokens) or used.reasoning_tokens or 0,
            (cached and cached.cache_write_tokens) or 0,
            0,
        )
    return row.custom_id, choice.message.content, body.model, row.id, choice.finish_reason, tokens


_LOCAL_FAILED = frozenset({"content_filter", "abort", "error", "parse_error"})


def _local(row: _ChatRow) -> Plain | None:
    return _chat(row, _LOCAL_FAILED)


# -- OpenAI's /v1/responses -------------------------------------------------------------------------------------------


class _ResponsesUsage(_Struct):
    input_tokens: Count = None
    output_tokens: Count = None
    input_tokens_details: _Cached | None = None
    output_tokens_details: _Reasoned | None = None


class _Content(_Struct):
    type: str
    text: str | None = None


class _Output(_Struct):
    type: str
    content: list[_Content] | None = None


class _ResponsesBody(_Struct):
    object: Literal["response"]
    model: _Text
    output: list[_Output]
    status: Literal["completed"]
    usage: _ResponsesUsage | None = None
    incomplete_details: None = None
    error: None = None


class _ResponsesAnswer(_Struct):
    status_code: Literal[200]
    body: _ResponsesBody


class _ResponsesRow(_Struct):
    custom_id: _Text
    id: _Text
    response: _ResponsesAnswer
    error: None = None


def _responses(row: _ResponsesRow) -> Plain | None:
    body, used, tokens = row.response.body, row.response.body.usage, NO_TOKENS
    parts = [part for item in body.output if item.type == "message" and item.content for part in item.content]
    if len(parts) != 1 or parts[0].type != "output_text" or not parts[0].text:
        return None
    if used is not None:
        cached, reasoned = used.input_tokens_details, used.output_tokens_details
        tokens = (
            used.input_tokens or 0,
            (cached and cached.cached_tokens) or 0,
            used.output_tokens or 0,
            (reasoned and reasoned.reasoning_tokens) or 0,
            (cached and cached.cache_write_tokens) or 0,
            0,
        )
    return row.custom_id, parts[0].text, body.model, row.id, body.status, tokens


# -- Anthropic --------------------------------------------------------------------------------------------------------


class _Thought(_Struct):
    thinking_tokens: Count = None


class _Kept(_Struct):
    ephemeral_1h_input_tokens: Count = None


class _MessageUsage(_Struct):
    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    output_tokens_details: _Thought | None = None
    cache_creation: _Kept | None = None


class _Message(_Struct):
    content: list[_Content]
    stop_reason: _Text
    model: _Text
    id: _Text
    usage: _MessageUsage | None = None


class _MessageResult(_Struct):
    type: Literal["succeeded"]
    message: _Message


class _MessageRow(_Struct):
    custom_id: _Text
    result: _MessageResult


def _message(row: _MessageRow) -> Plain | None:
    message = row.result.message
    parts, used, tokens = message.content, message.usage, NO_TOKENS
    if len(parts) == 1 and parts[0].type == "text":  # nearly always so, and 0.3 µs less
        text = parts[0].text or ""
    else:
        text = "".join([part.text for part in parts if part.type == "text" and part.text])
    if not text or message.stop_reason == "refusal":
        return None
    if used is not None:
        cached = used.cache_read_input_tokens or 0
        written = used.cache_creation_input_tokens or 0
        prompt_tokens = (used.input_tokens or 0) + cached + written
        if prompt_tokens > MOST:
            return None
        thought, kept = used.output_tokens_details, used.cache_creation
        thinking, hour = (thought and thought.thinking_tokens) or 0, (kept and kept.ephemeral_1h_input_tokens) or 0
        tokens = (prompt_tokens, cached, used.output_tokens or 0, thinking, written, hour)
    return row.custom_id, text, message.model, message.id, message.stop_reason, tokens


# -- Gemini -----------------------------------------------------------------------------------------------------------


class _Part(_Struct):
    text: str | None = None
    thought: bool = False


class _Parts(_Struct):
    parts: list[_Part]


class _Candidate(_Struct):
    content: _Parts
    finishReason: Literal["STOP", "MAX_TOKENS"]  # noqa: N815 - Google's spelling


class _Metadata(_Struct):
    promptTokenCount: Count = None  # noqa: N815
    toolUsePromptTokenCount: Count = None  # noqa: N815
    cachedContentTokenCount: Count = None  # noqa: N815
    candidatesTokenCount: Count = None  # noqa: N815
    thoughtsTokenCount: Count = None  # noqa: N815


class _Generated(_Struct):
    candidates: list[_Candidate]
    promptFeedback: None = None  # noqa: N815
    usageMetadata: _Metadata | None = None  # noqa: N815
    modelVersion: _Text | None = None  # noqa: N815
    responseId: _Text | None = None  # noqa: N815


class _GeneratedRow(_Struct):
    key: _Text
    response: _Generated


def _generated(row: _GeneratedRow) -> Plain | None:
    response, tokens = row.response, NO_TOKENS
    if not response.candidates:
        return None
    candidate, used = response.candidates[0], response.usageMetadata
    text = "".join([part.text for part in candidate.content.parts if part.text and not part.thought])
    if not text:
        return None
    if used is not None:
        thought = used.thoughtsTokenCount or 0
        prompt_tokens = (used.promptTokenCount or 0) + (used.toolUsePromptTokenCount or 0)
        given = (used.candidatesTokenCount or 0) + thought
        if prompt_tokens > MOST or given > MOST:
            return None
        tokens = (prompt_tokens, used.cachedContentTokenCount or 0, given, thought, 0, 0)
    return row.key, text, response.modelVersion, response.responseId, candidate.finishReason, tokens


# -- rules ------------------------------------------------------------------------------------------------------------


class _RuleRow(_Struct):
    custom_id: _Text
    rule: str
    verdict: bool | None
    error: None = None


class _RuleLine(_Struct, forbid_unknown_fields=True):
    custom_id: str
    rule: str
    reference: str
    answer: str


Compared = tuple[str, str, str, str]
"""The custom_id of a line for a rule, the rule, reference and answer."""


def compared() -> Callable[[bytes], Compared | None]:
    """A reader of the lines that rules judge; None for a line with more, or with anything but texts."""
    decode = msgspec.json.Decoder(_RuleLine).decode

    def read(line: bytes) -> Compared | None:
        try:
            row = decode(line)
        except (ValueError, RecursionError):
            return None
        return row.custom_id, row.rule, row.reference, row.answer

    return read


_VERDICTS = {True: "true", False: "false", None: "null"}


def _rule(row: _RuleRow) -> Plain | None:
    return row.custom_id, _VERDICTS[row.verdict], f"rule:{row.rule}", row.custom_id, None, NO_TOKENS


# -- readers ----------------------------------------------------------------------------------------------------------


def reading(shape: type[Any], plain: Callable[[Any], Plain | None]) -> Read:
    """A reader of the rows of one shape."""
    decode = msgspec.json.Decoder(shape).decode

    def read(line: bytes) -> Plain | None:
        try:
            if not line.isascii():
                str(line, "utf-8")  # what is skipped is not looked at otherwise
            return plain(decode(line))
        except (ValueError, RecursionError):
            return None

    return read


def either(readers: Sequence[Read]) -> Read:
    """Reads rows of several shapes: the one that the last row had is tried first."""
    usual, *others = readers
    if not others:
        return usual

    def read(line: bytes) -> Plain | None:
        nonlocal usual
        if (row := usual(line)) is not None:
            return row
        for place, reader in enumerate(others):
            if (row := reader(line)) is not None:
                usual, others[place] = reader, usual
                return row
        return None

    return read


def reader(vendor: str) -> Read | None:
    """The fast reader of a vendor's rows, by its name; None for a vendor whose rows have no shape here."""
    shapes = SHAPES.get(vendor)
    return either([reading(*shape) for shape in shapes]) if shapes else None


SHAPES: dict[str, tuple[tuple[type[Any], Callable[[Any], Plain | None]], ...]] = {
    "openai": ((_ChatRow, _chat), (_ResponsesRow, _responses)),
    "anthropic": ((_MessageRow, _message),),
    "gemini": ((_GeneratedRow, _generated),),
    "groq": ((_ChatRow, _chat),),
    "local": ((_ChatRow, _local),),
    "mistral": ((_ChatRow, _chat),),
    "rule": ((_RuleRow, _rule),),
    "together": ((_ChatRow, _chat),),
}


# -- answers ----------------------------------------------------------------------------------------------------------

_TYPES = {"string": str, "boolean": bool}


def strict_answers(schema: Schema) -> Callable[[str], bool] | None:
    """Tells of a text whether `parsing.parse` finds it strict JSON as the schema asks; False where that has to look.

    None for a schema that is not of texts and booleans alone, all required.
    """
    properties: Json = schema.schema["properties"]
    kinds = [_TYPES.get(str(member.get("type"))) for member in properties.values()]
    is_named = all(name.isidentifier() and not iskeyword(name) for name in properties)
    if not is_named or None in kinds or list(schema.schema.get("required", properties)) != list(properties):
        return None
    shape = msgspec.defstruct("Answer", list(zip(properties, kinds, strict=True)), gc=False, forbid_unknown_fields=True)
    decode = msgspec.json.Decoder(shape).decode
    quotes = sum(4 if kind is str else 2 for kind in kinds)

    def is_strict(text: str) -> bool:
        if (
            "\\" in text or text.count('"') != quotes
        ):  # an escape may hide a quote; more quotes: a name stands there twice
            return False
        try:
            decode(text)
        except (ValueError, RecursionError):
            return False
        return True

    return is_strict
