"""Rows of the ledger for tests that need some, with facts that nobody looks at filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from batchflow.ledger import batches, jobs, request_rows
from batchflow.ledger.models import SEQ_BITS
from batchflow.ledger.request_rows import Answered

NOW = datetime(2026, 11, 21, 10, 30, 0, 123_000, tzinfo=UTC)


def add_batch(tx: sa.Connection, name: str = "first", **facts: Any) -> int:
    """A prediction batch of an OpenAI model."""
    texts = ("model", "endpoint", "dataset", "dataset_path", "dataset_sha256", "template", "template_sha256")
    filled: dict[str, Any] = {text: text for text in (*texts, "spec_sha256", "nonce")}
    filled |= {"kind": "prediction", "provider": "openai", "task": "riddles", "split": "llm", "hints": 0}
    filled |= {"params": {}, "options": {}, "spec": {}, "n_requests": 0, "hint_counts": [], "notes": []}
    return batches.insert(tx, **(filled | {"name": name, "rehearsal": False, "created_at": NOW} | facts))


def add_job(tx: sa.Connection, batch_id: int, part: int = 0, **facts: Any) -> int:
    """A prepared job."""
    filled = {"path": f"processed_files/{batch_id}-{part}.jsonl", "sha256": "0" * 64, "bytes": 1, "n_requests": 0}
    return jobs.insert(tx, batch_id, part=part, **(filled | facts))


def request_id(batch_id: int, seq: int) -> int:
    return batch_id << SEQ_BITS | seq


def custom_id(seq: int) -> str:
    return f"{seq}-0badcafe-item{seq}"


def add_requests(tx: sa.Connection, batch_id: int, job_id: int, places: range, about: int | None = None) -> None:
    """One request per place. about: the batch whose requests at the same places they are about."""
    rows = [
        (request_id(batch_id, seq), job_id, custom_id(seq), f"item{seq}", 0, "c" * 32, "{}",
         None if about is None else request_id(about, seq))
        for seq in places
    ]  # fmt: skip
    request_rows.insert(tx, list(zip(*rows, strict=True)))


def answered(batch_id: int, seq: int, outcome: str = "ok", **facts: Any) -> Answered:
    """What decoding says about one request."""
    filled: dict[str, Any] = {"parsed": "strict" if outcome == "ok" else None, "error": None, "model": "m"}
    filled |= {"input_tokens": 10, "cached_tokens": 2, "output_tokens": 5, "reasoning_tokens": 1}
    filled |= {"written_tokens": 0, "written_1h_tokens": 0}
    filled |= {"raw_file": 0, "raw_offset": 100 * seq, "raw_length": 100}
    own = {"id": request_id(batch_id, seq), "custom_id": custom_id(seq), "outcome": outcome}
    return Answered(**(own | filled | facts))
