"""Answers that the rehearsed vendors with files share: a file's bytes, its end, and OpenAI's words for a job.

Each handler stands in the `ROUTES` of the vendors that borrow it; what they tell of a file or a job is their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from batchflow.records import Json
from batchflow.rehearsal.fake_state import RemoteFile, RemoteJob, Site, Stand
from batchflow.rehearsal.routes import Call, Reply

Handler = Callable[[Site, Call], Reply]

WORDS = {
    Stand.CANCELLING: "cancelling",
    Stand.COMPLETED: "completed",
    Stand.FAILED: "failed",
    Stand.EXPIRED: "expired",
    Stand.CANCELLED: "cancelled",
}


def word(job: RemoteJob) -> str:
    """The word of OpenAI, and of those who speak like it, for where a job stands."""
    return word_of(job, WORDS, "validating", "in_progress")


def word_of(job: RemoteJob, words: Mapping[Stand, str], fresh: str, busy: str) -> str:
    """A vendor's word for where a job stands. fresh, busy: before and after somebody asked about it."""
    return words.get(job.stand) or (fresh if job.polls == 0 else busy)


def file(shown: Callable[[RemoteFile], Json]) -> Handler:
    """GET one file, as the vendor shows it."""
    return lambda site, call: Reply(shown(site.file(call.vendor, call.path["id"])))


def job(shown: Callable[[Site, RemoteJob], Json]) -> Handler:
    """GET one job, as the vendor shows it."""
    return lambda site, call: Reply(shown(site, site.look(call.vendor, call.path["id"])))


def cancel(shown: Callable[[Site, RemoteJob], Json]) -> Handler:
    """POST a job's end."""
    return lambda site, call: Reply(shown(site, site.cancel(call.vendor, call.path["id"])))


def content(site: Site, call: Call) -> Reply:
    """GET a file's bytes."""
    return Reply(site.path(call.vendor, call.path["id"]), media="application/octet-stream")


def delete(site: Site, call: Call) -> Reply:
    """DELETE a file."""
    site.drop(call.vendor, call.path["id"])
    return Reply({"id": call.path["id"], "object": "file", "deleted": True})
