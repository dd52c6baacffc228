"""Answers that the rehearsed vendors with files share: a file's bytes, its end, and OpenAI's words for a job.

Each handler stands in the `ROUTES` of the vendors that borrow it; what they tell of a file or a job is their own.
"""

from __future__ import annotations

from batchflow.rehearsal.fake_state import RemoteJob, Site, Stand
from batchflow.rehearsal.routes import Call, Reply

WORDS = {
    Stand.CANCELLING: "cancelling",
    Stand.COMPLETED: "completed",
    Stand.FAILED: "failed",
    Stand.EXPIRED: "expired",
    Stand.CANCELLED: "cancelled",
}


def word(job: RemoteJob) -> str:
    """The word of OpenAI, and of those who speak like it, for where a job stands."""
    return WORDS.get(job.stand) or ("validating" if job.polls == 0 else "in_progress")


def content(site: Site, call: Call) -> Reply:
    """GET a file's bytes."""
    return Reply(site.path(call.vendor, call.path["id"]), media="application/octet-stream")


def delete(site: Site, call: Call) -> Reply:
    """DELETE a file."""
    site.drop(call.vendor, call.path["id"])
    return Reply({"id": call.path["id"], "object": "file", "deleted": True})
