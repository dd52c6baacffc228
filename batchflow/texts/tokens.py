"""Tokens of a text as a model's own tokenizer makes them, where it lies on this disk (quicktok, an extra): its home.

It is loaded when something is to be counted, which takes a second. None of Anthropic's, Google's and Mistral's was
found that works offline and is small; nor is it known how gpt-6 cuts its texts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec

ENCODINGS = {
    "gpt-oss": "o200k_harmony", "gpt-4o": "o200k_base", "gpt-4.1": "o200k_base", "gpt-5": "o200k_base",
    "o1": "o200k_base", "o3": "o200k_base", "o4-mini": "o200k_base", "qwen2.5": "qwen3", "qwen3": "qwen3",
}  # fmt: skip
"""By the beginning of a model's name, behind that of its house (tiktoken's table and the models' own pages)."""

Count = Callable[[str], int]


def encoding_of(model: str) -> str | None:
    """The encoding of a model; None where it is not known.

    >>> encoding_of("openai/gpt-oss-120b"), encoding_of("gpt-5-mini"), encoding_of("gpt-6-luna"), encoding_of("o11")
    ('o200k_harmony', 'o200k_base', None, None)
    """
    name = model.rpartition("/")[2].lower()
    return next(
        (it for start, it in ENCODINGS.items() if name == start or name.startswith((f"{start}-", f"{start}."))), None
    )


def is_there() -> bool:
    """Tells whether the extra is installed."""
    return find_spec("quicktok") is not None


def counter(model: str) -> Count | None:
    """Counts the tokens of a text as a model does; None where its tokenizer is not known or not here."""
    encoding = encoding_of(model)
    if encoding is None or not is_there():
        return None
    return _loaded(encoding)


@lru_cache(maxsize=4)
def _loaded(encoding: str) -> Count:
    import quicktok

    count: Count = quicktok.get_encoding(encoding).count
    return count
