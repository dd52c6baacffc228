"""The lines of the vendors' batch files: what each vendor takes, and what it refuses after it accepted the batch.

Such a refusal costs hours: the batch is accepted, waits, and ends with an error for every row. `import requests` reads
this table first. Keys of a body that no vendor is known to refuse are left to the vendor, whose models change weekly.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from batchflow import files
from batchflow.records import Json

NOTHING: Mapping[str, Any] = MappingProxyType({})


class RowForm(NamedTuple):
    """A line of one vendor's file.

    id, asked: the keys of the line's id and of what is asked. fixed: keys that have to be there with this value.
    may: keys that files for other vendors have and that are let through. urls: by endpoint, the keys that its body has
    to have. refused: keys of the body, with why the vendor refuses them whatever their value. values: keys of the body,
    with values that it refuses. known: all keys that a body may have, where every other one is refused. source: where
    the vendor says so.
    """

    id: str
    asked: str
    source: str
    urls: Mapping[str, tuple[str, ...]]
    has_url: bool = False
    fixed: Mapping[str, str] = NOTHING
    may: frozenset[str] = frozenset()
    refused: Mapping[str, str] = NOTHING
    values: Mapping[str, tuple[Any, ...]] = NOTHING
    known: frozenset[str] | None = None

    @property
    def line_keys(self) -> frozenset[str]:
        """All keys that a line may have."""
        url = {"url"} if self.has_url else set[str]()
        return frozenset({self.id, self.asked, *self.fixed, *self.may, *url})


_CHAT = {"/v1/chat/completions": ("messages",)}
_NO_STREAM: Mapping[str, tuple[Any, ...]] = {"stream": (True,)}
_SDK = dict.fromkeys(
    ("extra_headers", "extra_query", "extra_body", "timeout"),
    "it is an argument of the SDK, not a field of the request",
)
_OF_THE_LINE = dict.fromkeys(("custom_id", "method", "url", "body"), "it belongs beside the body, not in it")
_COMMON = {**_SDK, **_OF_THE_LINE, "stream_options": "a batch does not stream"}

FORMS: Mapping[str, RowForm] = {
    # platform.openai.com/docs/guides/batch: custom_id, method, url and body are required. Seen after acceptance, where
    # one bad line fails the batch: missing_required_parameter, invalid_url, streaming_unsupported, duplicate_custom_id.
    "openai": RowForm(
        id="custom_id",
        asked="body",
        source="platform.openai.com/docs/guides/batch",
        urls={**_CHAT, "/v1/responses": ("input",)},
        has_url=True,
        fixed={"method": "POST"},
        refused=_COMMON,
        values=_NO_STREAM,
    ),
    # platform.claude.com/docs/en/build-with-claude/batch-processing: params are checked after the batch was accepted,
    # and a wrong one becomes an errored row; stream, max_tokens 0 and speed are not taken in batches. `betas` is the
    # SDK's word for the header anthropic-beta.
    "anthropic": RowForm(
        id="custom_id",
        asked="params",
        source="platform.claude.com/docs/en/build-with-claude/batch-processing",
        urls={"/v1/messages": ("messages", "max_tokens")},
        refused={
            **_SDK,
            "custom_id": "it belongs beside params, not in them",
            "params": "it belongs beside custom_id",
            "betas": "it is a header's argument of the SDK, not a field of the request",
            "speed": "the vendor takes none in a batch",
            "response_format": "it is another vendor's field: output_config.format is the one here",
            "max_completion_tokens": "it is another vendor's field: max_tokens is the one here",
        },
        values={"stream": (True,), "max_tokens": (0,)},
    ),
    # ai.google.dev/gemini-api/docs/batch-api and ai.google.dev/api/generate-content: the request is parsed as a message
    # with these fields, and any other one ends in "no such field" (inspect_ai#3273), in either spelling.
    "gemini": RowForm(
        id="key",
        asked="request",
        source="ai.google.dev/api/generate-content",
        urls={"/v1beta/models": ("contents",)},
        known=frozenset(
            {
                "contents",
                "model",
                "tools",
                "labels",
                "store",
                "system_instruction",
                "systemInstruction",
                "generation_config",
                "generationConfig",
                "tool_config",
                "toolConfig",
                "safety_settings",
                "safetySettings",
                "cached_content",
                "cachedContent",
                "service_tier",
                "serviceTier",
            }
        ),
    ),
    # docs.mistral.ai/capabilities/batch: custom_id and body; the endpoint and the model are the job's.
    "mistral": RowForm(
        id="custom_id",
        asked="body",
        source="docs.mistral.ai/capabilities/batch",
        urls=_CHAT,
        may=frozenset({"method", "url"}),
        refused=_COMMON,
        values=_NO_STREAM,
    ),
    # docs.together.ai/docs/batch-inference: custom_id and body; `"method": "FILE"` is for audio only.
    "together": RowForm(
        id="custom_id",
        asked="body",
        source="docs.together.ai/docs/batch-inference",
        urls=_CHAT,
        may=frozenset({"method", "url"}),
        refused=_COMMON,
        values=_NO_STREAM,
    ),
    # console.groq.com/docs/batch: custom_id, method, url and body, as OpenAI's.
    "groq": RowForm(
        id="custom_id",
        asked="body",
        source="console.groq.com/docs/batch",
        urls=_CHAT,
        has_url=True,
        fixed={"method": "POST"},
        refused=_COMMON,
        values=_NO_STREAM,
    ),
}


_BODY_KEYS = frozenset(
    {"model", "messages", "input", "contents", "max_tokens", "temperature", "stream", "response_format"}
)


def fault(form: RowForm, line: Json, endpoint: str | None) -> tuple[str, str] | None:
    """(key, what is wrong with it) of the first thing that the vendor would refuse in a line, None where it is good."""
    return _line_fault(form, line) or _body_fault(form, line[form.asked], endpoint)


def _line_fault(form: RowForm, line: Json) -> tuple[str, str] | None:
    for key, value in form.fixed.items():
        if line.get(key) != value:
            near = next((name for name in line if name != key and name.strip().lower() == key), None)
            named = f", only {near!r}" if near is not None else ""
            return (
                key,
                f"it has to be {value!r}, the line has {line[key]!r:.40}" if key in line else f"it is missing{named}",
            )
    for key in line:
        if key not in form.line_keys:
            other = f"belongs in {form.asked}" if key in _BODY_KEYS else "is none of a line's keys"
            return key, f"it {other}; those are {', '.join(sorted(form.line_keys))}"
    if "url" in form.may and line.get("url") is not None and line["url"] not in form.urls:
        return "url", f"{line['url']!r:.60} is none of {', '.join(form.urls)}"
    if "method" in form.may and line.get("method") not in {None, "POST"}:
        return "method", f"{line['method']!r:.40} is none that a chat request has"
    return None


def _body_fault(form: RowForm, body: Json, endpoint: str | None) -> tuple[str, str] | None:
    for key, value in body.items():
        where = f"{form.asked}.{key}"
        if not key or key != key.strip():
            return where, "the key has white space around it" if key else "the key is empty"
        if key in form.refused:
            return where, form.refused[key]
        if form.known is not None and key not in form.known:
            return where, f"the vendor knows no such field; known are {', '.join(sorted(form.known))}"
        if any(type(value) is type(one) and value == one for one in form.values.get(key, ())):
            return where, f"{files.dumps(value).decode()} is not taken in a batch"
    for key in form.urls.get(endpoint or next(iter(form.urls)), ()):
        if key not in body:
            return f"{form.asked}.{key}", "it is missing"
    return None
