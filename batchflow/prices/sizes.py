"""Sizes of requests before they are sent: bytes of text, pictures and token limits, read from a processed file.

A text has at most as many tokens as bytes, whatever the tokenizer; how many it really has depends on the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.texts.tokens import Count

LEAST_PICTURE = 256
"""Characters, without a space, from which a text that ends with them may be a picture."""

_PICTURE = re.compile(rb'"(?:data:[^",]{0,80};base64,)?[A-Za-z0-9+/]{%d,}={0,2}"' % LEAST_PICTURE)
_LIMIT = re.compile(rb'"(?:max_(?:completion_|output_)?tokens|maxOutputTokens)":\s?(\d{1,9})[,}]')
_CHOICES = re.compile(rb'"(?:n|candidate_count|candidateCount)":\s?(\d{1,4})[,}]')
_GRAIN = 500  # bytes of text by which rows are added up
_TEXTS = frozenset({"text", "content", "system", "instructions", "input", "prompt"})
_NO_PROMPT = frozenset({"response_format", "output_config", "schema", "response_schema", "responseSchema"})

MOST_COUNTED = 5_000
"""Requests of a file that are counted by a tokenizer; the others are taken to be like them."""


@dataclass(slots=True)
class Sizes:
    """Requests by size. rows: (text in steps of 500 bytes, pictures, token limit) to [requests, bytes of text].

    A limit of 0 stands for none; several answers to one request multiply it. counted: requests whose prompts a
    tokenizer has counted, with the bytes of their lines, the tokens of their prompts, and the bytes that are no prompt.
    """

    rows: dict[tuple[int, int, int], list[int]] = field(default_factory=dict)
    counted: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def requests(self) -> int:
        """Number of requests."""
        return sum(count for count, _ in self.rows.values())

    @property
    def text_bytes(self) -> int:
        """Bytes of everything but pictures."""
        return sum(size for _, size in self.rows.values())

    @property
    def pictures(self) -> int:
        """Number of pictures."""
        return sum(key[1] * count for key, (count, _) in self.rows.items())

    def add(self, text: int, pictures: int, limit: int, requests: int = 1) -> None:
        """Count requests of one size. text: bytes of each."""
        key = (text // _GRAIN, pictures, limit)
        try:
            kept = self.rows[key]
        except KeyError:
            kept = self.rows[key] = [0, 0]
        kept[0] += requests
        kept[1] += text * requests

    def count(self, line: bytes, count: Count | None = None) -> None:
        """Count one line of a processed file, in whatever vendor's form. count: of tokens, where it is at hand."""
        text, pictures = len(line), 0
        if text > 1_000 and (images := _PICTURE.findall(line)):
            text, pictures = text - sum(map(len, images)), len(images)
        self.add(text, pictures, limit_of(line))
        if count is not None and self.counted[0] < MOST_COUNTED:
            texts = [
                one for one in _said(files.loads(line)) if len(one) < 256 or not _PICTURE.fullmatch(f'"{one}"'.encode())
            ]
            size = sum(len(one.encode("utf-8", "replace")) for one in texts)
            more = (1, text, sum(map(count, texts)), max(text - size, 0))
            self.counted = tuple(map(sum, zip(self.counted, more, strict=True)))  # type: ignore[assignment]


def limit_of(line: bytes) -> int:
    """The token limit of a line, times the answers that it asks for; 0 without one."""
    limit = max(map(int, _LIMIT.findall(line)), default=0)
    if limit and (several := _CHOICES.findall(line)):
        limit *= max(1, *map(int, several))
    return limit


def has_picture(line: bytes) -> bool:
    """Tells whether a line holds a picture, or a text that looks like one."""
    return _PICTURE.search(line) is not None


def _said(value: Any) -> Iterator[str]:
    """The texts of a prompt: those under a key that holds them, however deep."""
    if isinstance(value, list):
        for one in value:
            yield from _said(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            if isinstance(one, str):
                if key in _TEXTS:
                    yield one
            elif key not in _NO_PROMPT:
                yield from _said(one)


def measured(path: Path, count: Count | None = None, most: int | None = None) -> Sizes:
    """The sizes of a file's first `most` requests. count: of tokens, where the model's tokenizer is at hand."""
    sizes = Sizes()
    for _, _, line in islice(files.lines(path), most):
        if line and not line.isspace():
            sizes.count(line, count)
    return sizes


def together(parts: list[Sizes]) -> Sizes:
    """Several files as one."""
    total = Sizes()
    for part in parts:
        for key, (count, size) in part.rows.items():
            kept = total.rows.setdefault(key, [0, 0])
            kept[0] += count
            kept[1] += size
        total.counted = tuple(map(sum, zip(total.counted, part.counted, strict=True)))  # type: ignore[assignment]
    return total
