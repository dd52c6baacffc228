"""Report data and items made up for tests of the page: as many as wanted, with hostile texts among them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from helpers.viewed import HOSTILE, png

from batchflow.records import Image
from batchflow.report import page
from batchflow.report.data import BatchPart, ReportData
from batchflow.report.page import PageItem
from batchflow.tasks.datasets.pictures import from_bytes

WORDS = (
    "river", "mountain", "integer", "triangle", "lantern", "engine", "harbour", "melody", "copper", "silent", "orbit",
    "garden", "puzzle", "window", "thread", "compass", "velvet", "marble", "autumn", "signal",
)  # fmt: skip
NEEDLE = "xylophonic"
TOPICS = ("algebra", "geometry", "logic", "words")
JUDGES = ("anthropic:claude", "gemini:flash", "mistral:small")


_SAID = [" ".join(random.Random(seed).choices(WORDS, k=22)) for seed in range(997)]


def sentence(source: random.Random, length: int) -> str:
    """Some words: the beginning of one of many sentences."""
    return _SAID[source.randrange(len(_SAID))][: 6 * length]


def items(count: int, *, batch: str = "many", pictures: bool = True) -> Iterator[PageItem]:
    """`count` items; one in a thousand holds NEEDLE, and the fourth is HOSTILE in every text."""
    source = random.Random(7)
    image = (from_bytes(png()),)
    for n in range(count):
        votes = [float(source.random() < 0.7) for _ in JUDGES]
        outcome = "error" if n % 97 == 5 else "ok"
        is_ok = outcome == "ok"
        hostile = n == 3
        text = HOSTILE if hostile else sentence(source, 22)
        answer = HOSTILE if hostile else sentence(source, 18) + (f" {NEEDLE}" if n % 1000 == 500 else "")
        judges = [
            {"judge": name, "kind": "correctness", "status": "valid", "values": {"is_correct": vote}, "labels": {},
             "verdict": vote, "reasons": HOSTILE if hostile else sentence(source, 9), "why": None}
            for name, vote in zip(JUDGES, votes, strict=True)
        ]  # fmt: skip
        own: tuple[Image, ...] = image if pictures and n % 500 == 2 else ()
        yield {
            "batch": batch, "item": f"item-{n:05}" if not hostile else HOSTILE, "sample": 0, "row": n + 1,
            "request": f"{n}-abc", "question": text, "context": None, "options": [],
            "pictures": [{"path": "p.png", "type": "image/png", "bytes": image[0].size} for _ in own],
            "references": [sentence(source, 2)], "columns": {"topic": TOPICS[n % len(TOPICS)]}, "outcome": outcome,
            "error": None if is_ok else "HTTP 500: <b>overloaded</b>", "answer": answer if is_ok else None,
            "extracted": {"answer": answer} if is_ok else None, "verdict": sum(votes) / 3 if is_ok else None,
            "disagree": is_ok and len(set(votes)) > 1, "judges": judges if is_ok else [], "human": {},
            "human_share": None, "flags": [],
            "model": "m-1", "finish": "stop", "retried": False,
            "usage": {"input_tokens": 20, "cached_tokens": 0, "output_tokens": 9, "reasoning_tokens": 0},
        }, own  # fmt: skip


def report(count: int) -> ReportData:
    """A report of one batch that nobody scored, and of biases of its judges."""
    tokens = {"input_tokens": 20 * count, "cached_tokens": 0, "output_tokens": 9 * count, "reasoning_tokens": 0}
    part = BatchPart(
        "many", "openai", HOSTILE, "qa", "all", False, count, count - 1, {"error": 1}, (), tokens, "unknown",
        (("Model", HOSTILE),), trouble="not judged",
    )  # fmt: skip
    numbers = {"size": 0.031, "low": -0.01, "high": 0.07, "p": 0.04, "p_holm": 0.12, "n": count, "n_clusters": count}
    biases = tuple(
        {**numbers, "judge": judge, "kind": kind, "reference": "the other judges", "method": "t"}
        for judge, kind in ((HOSTILE, "house"), (JUDGES[0], "length"), ("", "first"))
    )
    return ReportData(
        "many",
        "2026-11-28T00:00:00Z",
        "is_correct",
        0.95,
        (part,),
        (),
        ("topic",),
        (HOSTILE,),
        (("batchflow", "x"),),
        biases=biases,
        bias_notes=(HOSTILE, f"{JUDGES[1]} is not tested: it has no house among the models"),
    )


def write(path: Path, count: int) -> Path:
    """A page of `count` items."""
    with path.open("wb") as handle:
        page.write(handle, report(count), items(count))
    return path
