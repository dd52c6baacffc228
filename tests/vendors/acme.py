"""Acme's batches: OpenAI's protocol at an address of its own. A vendor that does not exist; docs/vendors.md shows it.

Protocol read from where its facts stand, with a date (2026-11).
"""

from __future__ import annotations

from batchflow.records import Limits
from batchflow.vendors.base import PAID, cannot_resume, no_clock, no_facts
from batchflow.vendors.shared import chat_completions, openai_like, row_forms

NAME = "acme"
LIMITS = Limits(requests=1_000, file_bytes=10_000_000, source="docs.acme.example/batch: 1,000 requests, 10 MB a file")
LINE = row_forms.posted("docs.acme.example/batch")

_BATCHES = openai_like.Batches(name=NAME, base_url="https://api.acme.example/v1")
TRAITS, ENDPOINTS, STATUSES = PAID, _BATCHES.endpoints, _BATCHES.statuses
check, connect, explain = _BATCHES.check, _BATCHES.connect, _BATCHES.explain
encode, decode = chat_completions.line, chat_completions.decode
upload, create, find, poll = _BATCHES.upload, _BATCHES.create, _BATCHES.find, _BATCHES.poll
fetch, cancel, remove = _BATCHES.fetch, _BATCHES.cancel, _BATCHES.remove
clock, resume, facts = no_clock, cannot_resume, no_facts
