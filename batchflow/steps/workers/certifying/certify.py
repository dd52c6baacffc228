"""rehearse --certify URL: what a server of /v1/batches does, and what that means for batchflow.

Few small batches are sent, and everything that is seen is told; a check that a server does not pass says whether
batchflow copes with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from batchflow.errors import UsageError
from batchflow.steps.workers.certifying.answers import answers
from batchflow.steps.workers.certifying.batch_server import BatchServer, Reply
from batchflow.steps.workers.certifying.cuts import cuts
from batchflow.steps.workers.certifying.run import CUT_ROWS, OTHERS, ROWS, Certified, Run, Verdict, in_words, row_of

BATCHES, REQUESTS = 7, ROWS + OTHERS + CUT_ROWS
"""Batches of a whole run, and their requests, at most."""

PAID = (
    "openai.com", "azure.com", "anthropic.com", "googleapis.com", "mistral.ai", "together.xyz", "together.ai",
    "groq.com", "doubleword.ai", "fireworks.ai", "x.ai", "deepseek.com",
)  # fmt: skip
"""Hosts, with those below them, where requests cost money."""

Part = Callable[[Run], Iterator[Certified]]


@dataclass(frozen=True, slots=True)
class CertifyReport:
    """The table of a server. requests: sent to a model, at most; usable: no check is a fault."""

    url: str
    model: str
    requests: int
    usable: bool
    checks: tuple[Certified, ...]
    next: str


def refuse_paid(url: str, host: str) -> None:
    """Raise UsageError for the host of a vendor whom somebody would have to pay."""
    if any(host == paid or host.endswith(f".{paid}") for paid in PAID):
        text = f"{url} is a vendor's: the {REQUESTS} requests of this check would be paid for"
        raise UsageError(text, hint="add --certify-paid if that is what you want")


def certify(
    server: BatchServer,
    model: str,
    *,
    endpoint: str = "/v1/chat/completions",
    say: Callable[[str], None],
    kills: bool = True,
    poll_s: float = 1.0,
    listed_s: float = 10.0,
) -> CertifyReport:
    """Send a few small batches and look at everything that comes back. Raises VendorError where nothing answers.

    kills: batchflow itself is run and killed as well. listed_s: how long a list may take to show a batch.
    """
    say(f"certify: at most {REQUESTS} requests in {BATCHES} small batches go to {server.url}, model {model}")
    run = Run(server, model, endpoint, poll_s, listed_s)
    parts: list[Part] = [answers, _broken, _doubled, _cancelled, _pages, _cut]
    checks = [check for part in parts for check in part(run)]
    if kills and checks[0].verdict is Verdict.PASSED:  # the create
        checks += cuts(run)
    checks = [replace(check, seen=server.hidden(check.seen)) for check in checks]
    usable = not any(check.verdict is Verdict.FAULT for check in checks)
    follow = "add it as [gateways.NAME] to batchflow.toml, then batchflow prepare --provider NAME"
    return CertifyReport(server.url, model, REQUESTS, usable, tuple(checks), follow)


# -- batches that go wrong


def _broken(run: Run) -> Iterator[Certified]:
    """A file that is no JSON Lines has to be refused, now or later, in words."""
    upload, reply, _ = run.sent("broken", b"this is no JSON\n")
    if reply is None or not reply.is_good:
        refusing = reply or upload
        good = 400 <= refusing.status < 500
        seen = f"refused: {in_words(refusing)}"
    else:
        document, _ = run.ended(str(reply.get("id")))
        good = document.get("status") == "failed" and bool(document.get("errors"))
        seen = f"{document.get('status')}, errors {str(document.get('errors'))[:60]}"
        yield from _failed_files(run, document)
    yield row_of(
        "invalid file", good=good, seen=seen, fine="the card shows why",
        otherwise="a broken file fails without a reason, or not at all", bad=Verdict.COPED,
    )  # fmt: skip


def _failed_files(run: Run, document: dict[str, Any]) -> Iterator[Certified]:
    named = [document[name] for name in ("output_file_id", "error_file_id") if isinstance(document.get(name), str)]
    if document.get("status") != "failed" or not named:
        return
    statuses = [run.server.content(file_id).status for file_id in named]
    yield row_of(
        "files of a failed batch", good=all(status == 200 for status in statuses), seen=f"{statuses}",
        fine="rows that ran before it failed are not lost", otherwise="rows that ran before it failed are lost",
        bad=Verdict.COPED,
    )  # fmt: skip


def _doubled(run: Run) -> Iterator[Certified]:
    _, reply, _ = run.sent("doubled", run.line(f"d-{run.mark}") * 2)
    if reply is None or not reply.is_good:
        seen, good = f"refused: {in_words(reply)}", True
    else:
        document, _ = run.ended(str(reply.get("id")))
        seen, good = f"{document.get('status')}, counts {document.get('request_counts')}", True
    yield row_of(
        "custom_id twice in a file", good=good, seen=seen, fine="batchflow sends each id once", otherwise="",
    )  # fmt: skip


def _cancelled(run: Run) -> Iterator[Certified]:
    _, reply, _ = run.sent("cancelled", b"".join(run.line(f"x{number}-{run.mark}") for number in range(2)))
    batch_id = reply.get("id") if reply is not None else None
    if not isinstance(batch_id, str):
        yield Certified("cancel", Verdict.UNSEEN, in_words(reply), "nothing was there to cancel")
        return
    cancelled = run.server.cancel(batch_id)
    document, _ = run.ended(batch_id)
    good = cancelled.is_good and document.get("status") in {"cancelled", "completed"}
    yield row_of(
        "cancel", good=good, seen=f"{cancelled.status}, then {document.get('status')}",
        fine="`cancel` stops it, or it was faster", otherwise="`cancel` reports an error, and the batch goes on",
        bad=Verdict.COPED,
    )  # fmt: skip


# -- a list of more than one page


def _pages(run: Run) -> Iterator[Certified]:
    """The list is asked for one batch at a time; several are there by now."""
    first, second, how = _ids(run.server.batches(limit=1)), list[str](), "by id"
    if len(first) == 1:
        second = _ids(run.server.batches(limit=1, after=first[0]))
        if not second:
            second, how = _ids(run.server.batches(limit=1, after="1")), "by number"
    good = len(first) > 1 or (bool(second) and second != first)
    otherwise = "a lost create that is not among the latest 100 batches is a person's matter"
    yield row_of(
        "list goes on", good=good and (len(first) > 1 or how == "by id"),
        seen="all in one page" if len(first) > 1 else f"{how}: {'the next one' if good else 'nothing, or the same'}",
        fine="a lost create is found among any number", bad=Verdict.COPED,
        otherwise="asked by number as well" if good else otherwise,
    )  # fmt: skip


def _ids(reply: Reply) -> list[str]:
    """The ids of a page of batches; none where it is refused."""
    rows = reply.get("data") if reply.is_good else None
    return [str(row.get("id")) for row in rows or [] if isinstance(row, dict)]


# -- creates that nobody heard of, or that come twice


def _cut(run: Run) -> Iterator[Certified]:
    upload = run.server.upload(f"certify-{run.mark}-cut.jsonl", run.line(f"k-{run.mark}"))
    file_id, tag = upload.get("id"), f"certify-{run.mark}-cut"
    if not isinstance(file_id, str):
        yield Certified("find after a cut create", Verdict.UNSEEN, in_words(upload), "no file to make a batch of")
        return
    run.server.create_and_hang_up(file_id, run.endpoint, tag)
    ours = _listed(run, file_id, tag)
    tagged = any(isinstance(each.get("metadata"), dict) and each["metadata"].get("batchflow") == tag for each in ours)
    how = "by its tag" if tagged else "by its file"
    yield row_of(
        "find after a cut create", good=len(ours) <= 1, seen=f"found {how}" if ours else "nothing is listed",
        fine="`start` adopts it, or sends it once more", otherwise="one create made several batches", bad=Verdict.FAULT,
    )  # fmt: skip
    again = run.server.create(file_id, run.endpoint, f"{tag}-again")
    new = again.get("id")
    known = {each.get("id") for each in ours}
    yield row_of(
        "create of the same file again", good=isinstance(new, str) and new not in known,
        seen=in_words(again) if new is None else ("a batch of its own" if new not in known else "the same batch"),
        fine="every create is a new batch: batchflow never repeats one by itself",
        otherwise="a file can be used once: `start` uploads it anew", bad=Verdict.COPED,
    )  # fmt: skip
    for each in (*known, new):
        if isinstance(each, str):
            run.ended(each)


def _listed(run: Run, file_id: str, tag: str) -> list[dict[str, Any]]:
    """Batches of a file or tag, as soon as the list shows one."""
    until = time.monotonic() + run.listed_s
    while True:
        listed = [each for each in run.server.batches().get("data") or [] if isinstance(each, dict)]
        ours = [each for each in listed if each.get("input_file_id") == file_id or _tag(each) == tag]
        if ours or time.monotonic() > until:
            return ours
        time.sleep(min(run.poll_s, 1.0))


def _tag(batch: dict[str, Any]) -> Any:
    tags = batch.get("metadata")
    return tags.get("batchflow") if isinstance(tags, dict) else None
