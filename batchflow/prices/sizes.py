"""Sizes of requests before they are sent: bytes of text, pictures and token limits, read from a processed file.

A text has at most as many tokens as bytes, whatever the tokenizer; how many it really has depends on the model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from batchflow import files

_PICTURE = re.compile(rb'"(?:data:[^",]{0,80};base64,)?[A-Za-z0-9+/]{256,}={0,2}"')
_LIMIT = re.compile(rb'"(?:max_(?:completion_|output_)?tokens|maxOutputTokens)":\s?(\d{1,9})[,}]')
_CHOICES = re.compile(rb'"(?:n|candidate_count|candidateCount)":\s?(\d{1,4})[,}]')
_GRAIN = 500  # bytes of text by which rows are added up


@dataclass(slots=True)
class Sizes:
    """Requests by size. rows: (text in steps of 500 bytes, pictures, token limit) to [requests, bytes of text].

    A limit of 0 stands for none; several answers to one request multiply it.
    """

    rows: dict[tuple[int, int, int], list[int]] = field(default_factory=dict)

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
        kept = self.rows.setdefault((text // _GRAIN, pictures, limit), [0, 0])
        kept[0] += requests
        kept[1] += text * requests

    def count(self, line: bytes) -> None:
        """Count one line of a processed file, in whatever vendor's form."""
        text, pictures = len(line), 0
        if text > 1_000 and (images := _PICTURE.findall(line)):
            text, pictures = text - sum(map(len, images)), len(images)
        limit = max(map(int, _LIMIT.findall(line)), default=0)
        if limit and (several := _CHOICES.findall(line)):
            limit *= max(1, *map(int, several))
        self.add(text, pictures, limit)


def measured(path: Path) -> Sizes:
    """The sizes of a file's requests."""
    sizes = Sizes()
    for _, _, line in files.lines(path):
        if line and not line.isspace():
            sizes.count(line)
    return sizes


def together(parts: list[Sizes]) -> Sizes:
    """Several files as one."""
    total = Sizes()
    for part in parts:
        for key, (count, size) in part.rows.items():
            kept = total.rows.setdefault(key, [0, 0])
            kept[0] += count
            kept[1] += size
    return total
