"""Tells whether a reply holds an answer. Servers say 200 to a cut-off thought or an empty text as well."""

from __future__ import annotations

from typing import Any

from batchflow.texts import thoughts

WORD_CAP = 50

_NO_ANSWER = frozenset({"parse_error", "content_filter"})  # finish_reason of failures that would be so again


def finish_reason(choice: dict[str, Any]) -> str:
    """The server's word for why it stopped; empty where it is no word: gateways put tables and numbers there too."""
    word = choice.get("finish_reason")
    return word if isinstance(word, str) else ""


def has_answer(body: Any) -> bool:
    """True for the body of a chat completion with a text that is worth keeping; a retry has to ask again without it.

    A thought is none, finished or not: `responses` reads the answer from behind it, by the same rule.
    """
    try:
        choice = body["choices"][0]
        content = choice["message"].get("content")
        finish = finish_reason(choice)
    except (KeyError, IndexError, TypeError, AttributeError):
        return False
    return finish not in _NO_ANSWER and bool(thoughts.behind(content) if isinstance(content, str) else content)


def lack(body: Any) -> str:
    """Describes a reply without an answer."""
    choice = body["choices"][0] if isinstance(body, dict) and body.get("choices") else {}
    return f"a reply without an answer (finish_reason {finish_reason(choice)[:WORD_CAP] or None})"
