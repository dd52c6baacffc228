"""Whether a reply holds an answer. Servers say 200 to much that is none: a thought that was cut off, an empty text."""

from __future__ import annotations

from typing import Any

from batchflow.local.templates import THOUGHT

THOUGHT_END = "</think>"

_NO_ANSWER = frozenset({"parse_error", "content_filter"})  # finish_reason of failures that would be so again


def has_answer(body: Any) -> bool:
    """True for the body of a chat completion with a text that is worth keeping; a retry has to ask again without it."""
    try:
        choice = body["choices"][0]
        content = choice["message"].get("content")
        finish = choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        return False
    cut = isinstance(content, str) and content.startswith(THOUGHT) and THOUGHT_END not in content
    return bool(content) and not cut and finish not in _NO_ANSWER


def lack(body: Any) -> str:
    """What to say of a reply without an answer."""
    choice = body["choices"][0] if isinstance(body, dict) and body.get("choices") else {}
    return f"a reply without an answer (finish_reason {choice.get('finish_reason')})"
