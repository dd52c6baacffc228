"""One run of `rehearse --certify`: the server, its batches, and a check's row in the table."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from batchflow import files
from batchflow.steps.workers.certifying.batch_server import BatchServer, Reply

ROWS, OTHERS, CUT_ROWS = 8, 6, 2
"""Requests of the batch whose answers are read, of the further ones, and of the batch whose client is killed."""

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
STATUSES = ENDED | {"validating", "in_progress", "finalizing", "cancelling"}
PATIENCE_S = 120.0


class Verdict(StrEnum):
    """Result of a check."""

    PASSED = "pass"
    COPED = "differs"  # not as OpenAI does, and batchflow copes
    FAULT = "fault"  # batchflow cannot make up for it
    UNSEEN = "not seen"


@dataclass(frozen=True, slots=True)
class Certified:
    """One check: what was seen, and what it means for batchflow."""

    check: str
    verdict: Verdict
    seen: str
    meaning: str


@dataclass
class Run:
    """A server under test. poll_s: between two polls. listed_s: how long a list may lag. mark: of ids and tags."""

    server: BatchServer
    model: str
    endpoint: str
    poll_s: float
    listed_s: float
    mark: str = field(default_factory=lambda: secrets.token_hex(4))

    def line(self, custom_id: str) -> bytes:
        """One request of one word."""
        body = {"model": self.model, "messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 16}
        return files.dump_line({"custom_id": custom_id, "method": "POST", "url": self.endpoint, "body": body})

    def sent(self, name: str, data: bytes) -> tuple[Reply, Reply | None, str]:
        """Upload and create; the two replies, and the tag. The second is None where there is no file."""
        tag, upload = f"certify-{self.mark}-{name}", self.server.upload(f"certify-{self.mark}-{name}.jsonl", data)
        file_id = upload.get("id")
        return upload, self.server.create(file_id, self.endpoint, tag) if isinstance(file_id, str) else None, tag

    def ended(self, batch_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """A batch as it ended, or as it stood last, and everything that was seen of it on the way."""
        until, seen = time.monotonic() + PATIENCE_S, list[dict[str, Any]]()
        while True:
            document = self.server.batch(batch_id).json
            seen.append(document if isinstance(document, dict) else {})
            if seen[-1].get("status") in ENDED or time.monotonic() > until:
                return seen[-1], seen
            time.sleep(self.poll_s)


def row_of(check: str, *, good: bool, seen: str, fine: str, otherwise: str, bad: Verdict = Verdict.FAULT) -> Certified:
    """A row of the table. fine, otherwise: what it means for batchflow, one way and the other."""
    return Certified(check, Verdict.PASSED if good else bad, seen, fine if good else otherwise)


def in_words(reply: Reply | None) -> str:
    """A reply in a few words; a server's text is never longer than a line."""
    if reply is None:
        return "no file to make a batch of"
    return f"{reply.status} {' '.join(reply.body.decode('utf-8', 'replace').split())[:80]}"
