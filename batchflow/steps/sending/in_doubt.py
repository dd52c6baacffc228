"""Jobs of which nobody knows whether the vendor accepted them: ask the vendor, else a person.

An absence and a likeness are no proof by themselves. A batch is ours where it carries our token, our upload or our
custom_ids. Nothing was created where the whole list of the account that was sent to shows no such batch twice, a grace
apart. What is only alike (Anthropic, which has no tag) is adopted as a guess where nothing else fits, and is neither
cancelled nor removed before its custom_ids were seen. All else is `unsure`. docs/crash-safety.md has it by vendor.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from batchflow.errors import BatchflowError, NeedsYou, NotReady, UsageError
from batchflow.ledger import Tx, jobs
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.records import Found, Job
from batchflow.states import Event, State
from batchflow.steps.base.context import Context
from batchflow.steps.base.vendor_calls import VendorSession, connected, patiently
from batchflow.steps.sending import journal
from batchflow.vendors import registry
from batchflow.vendors.base import no_clock
from batchflow.vendors.registry import HERE
from batchflow.vendors.shared.json_access import LONGEST_ID, identity
from batchflow.vendors.shared.sdk_answers import PATIENCE_S

FIND_GRACE_S = 10.0  # a vendor's list may lag behind its create: an absence has to last so long to prove anything
READ_BYTES_S = 1e6  # bytes a second, at least, at which a vendor reads rows that travel in the create itself


def account(context: Context, batch: BatchRecord, job: JobRecord) -> dict[str, str]:
    """Whose batches a job is sent among, as its history keeps it: a mark that tells accounts apart and shows no key."""
    return {"key_mark": context.settings.key_mark(batch.provider, job.token or "")}


def vendor_time(session: VendorSession) -> dict[str, float]:
    """The vendor's own time before a create, as its history keeps it, where `find` tells batches apart by time."""
    now = patiently(session.context, session.vendor, lambda: session.vendor.clock(session.client))
    return {} if now is None else {"vendor_time": now}


def ask_about(session: VendorSession, job: JobRecord) -> JobRecord:
    """Settle a job in `sending`: adopt what the vendor has, release what it provably has not, else `unsure`.

    Returns it as it stands then. Raises NeedsYou for the last, StaleState where another host settled it meanwhile,
    NotReady where the vendor may still be at work on a create whose end nobody heard.
    """
    context, batch = session.context, session.batch
    with context.ledger.read() as tx:
        at_work_until = _at_work_until(context, tx, batch, job)
        remote_ids, guesses = jobs.remote_ids(tx), jobs.adopted_ids(tx)
        moved, rivals = _moved(context, tx, batch, job), jobs.rivals(tx, job, batch.provider)
        noted = jobs.last_detail(tx, job.id, Event.SEND).get("vendor_time")
    query = replace(session.job(job, remote_ids - guesses), vendor_time=noted)
    first = session.patiently(session.vendor.find, query)
    if at_work_until and not first.ids:
        raise NotReady(
            f"{batch.name}, part {job.part}: the start that was cut may have reached {batch.provider}, which shows no"
            f" such batch and may be at work on it until {at_work_until:%H:%M:%S} UTC; nothing is sent before that",
            hint="run the same command again then",
        )
    finding = _without(guesses, _looked(session, query, first))
    now, guard = context.clock(), jobs.as_seen(job)  # what was asked says nothing of another host's later create
    with context.ledger.write() as tx:
        is_stale = not {*finding.ids, *finding.unlikely}.isdisjoint(jobs.remote_ids(tx) - remote_ids)
        rivals = tuple(dict.fromkeys([*rivals, *jobs.rivals(tx, job, batch.provider)])) if finding.guess else ()
        if not is_stale and _fits(finding, moved, rivals):
            _adopt(context, tx, batch, job, finding)
            return jobs.get(tx, job.id)
        if not is_stale and not finding.ids and finding.sure and not moved:
            nothing = {"find": "nothing was created"}
            jobs.move(tx, job.id, Event.RELEASE, now=now, where=guard, detail=nothing, claimed_by=None)
            return jobs.get(tx, job.id)
        if not is_stale:
            candidates = finding.ids or finding.unlikely
            text = _unsure_text(batch, candidates, moved, rivals)
            seen = {"candidates": list(candidates)}
            jobs.move(tx, job.id, Event.DOUBT, now=now, where=guard, detail=seen, error=text)
    if is_stale:  # another process was given one of them in the meantime
        return ask_about(session, job)
    raise NeedsYou(f"{batch.name}, part {job.part}: {text}", hint=unsure_hint(context, batch))


def _at_work_until(context: Context, tx: Tx, batch: BatchRecord, job: JobRecord) -> datetime | None:
    """Latest end of a vendor's work on a create that a kill cut off; None where its end was heard of, or is past.

    No create is waited for longer than that, so that none of those that are waited for lasts longer.
    """
    if job.error or job.sending_at is None or batch.rehearsal or batch.provider in HERE:
        return None
    now, length = jobs.clock(tx), timedelta(seconds=context.tuned("create_s", journal.LATEST_S + PATIENCE_S))
    since_s = journal.since_intent_s(context, batch, job)
    if since_s is not None:  # a clock may have been set meanwhile, the uptime not
        until = now + length - timedelta(seconds=since_s)
        return until if now < until else None
    until = job.sending_at + length
    return until if job.sending_at <= now < until else None  # of an intent in the future no clock tells anything


def _looked(session: VendorSession, query: Job, first: Found) -> Found:
    """Calls `find`, and once more after a grace unless the result is certainly ours.

    A create whose failure was heard of ended just now; one that was cut off ended at the latest when nobody would have
    waited for it any longer.
    """
    context = session.context
    grace_s = context.tuned("find_grace_s", FIND_GRACE_S)
    if (first.ids and first.sure) or not grace_s:
        return first
    if query.remote_file is None and query.path.exists():
        grace_s += query.path.stat().st_size / READ_BYTES_S
    context.say(f"{query.name}: asking {session.vendor.NAME} once more in {grace_s:.0f} s, its list may lag behind")
    context.sleep(grace_s)
    second = session.patiently(session.vendor.find, query)
    if second.ids and second.sure:
        return second
    ids = tuple(dict.fromkeys([*first.ids, *second.ids]))
    unlikely = tuple(dict.fromkeys([*first.unlikely, *second.unlikely]))
    return Found(ids, first.sure and second.sure, unlikely, guess=second.guess)


def _without(guesses: frozenset[str], finding: Found) -> Found:
    """Removes ids from a result that another job adopted unseen: they may be this job's, so nothing is sure."""
    taken = tuple(one for one in (*finding.ids, *finding.unlikely) if one in guesses)
    if not taken:
        return finding
    ids = tuple(one for one in finding.ids if one not in guesses)
    others = tuple(one for one in finding.unlikely if one not in guesses)
    return replace(finding, ids=ids, sure=finding.sure and bool(ids), unlikely=(*others, *taken))


def _fits(finding: Found, moved: str | None, rivals: tuple[str, ...]) -> bool:
    """Tells whether exactly one batch can be this job's: what is only alike may not be another job's as well.

    One with an id that no ledger can keep, such as a hostile one of a thousand characters, is a person's matter.
    """
    is_one = len(finding.ids) == 1 and identity(finding.ids[0]) is not None
    return is_one and (finding.sure or not (moved or rivals))


def _adopt(context: Context, tx: Tx, batch: BatchRecord, job: JobRecord, finding: Found) -> None:
    """Give a job the one batch that was found, to be confirmed by its custom_ids unless it certainly is ours."""
    now, is_guess = context.clock(), finding.guess and not finding.sure
    facts: dict[str, Any] = {
        "remote_id": finding.ids[0],
        "accepted_at": now,
        "adopted": not finding.sure,
        "error": None,
    }
    detail = {"remote_id": finding.ids[0], "sure": finding.sure, "guess": is_guess}
    jobs.move(tx, job.id, Event.ADOPT, now=now, where=jobs.as_seen(job), detail=detail, **facts)
    if is_guess:
        context.say(
            f"{batch.name}: {finding.ids[0]} at {batch.provider} is most likely it (size and time agree):"
            " taken as such until its results tell, and nothing was sent twice"
        )
    else:
        context.say(f"{batch.name}: found again at {batch.provider} as {finding.ids[0]}, nothing was sent twice")


def is_guess(tx: Tx, job: JobRecord) -> bool:
    """Tells whether a job's batch was found by size and time only, and none of its custom_ids was seen yet."""
    if not job.adopted or job.state is State.FETCHED:
        return False
    detail = jobs.last_detail(tx, job.id, Event.ADOPT)
    return bool(detail.get("guess", detail.get("sure") is False))  # ledgers before 2026-11-28 know only `sure`


def _moved(context: Context, tx: Tx, batch: BatchRecord, job: JobRecord) -> str | None:
    """Difference between the current endpoint and the one the job was sent to; None without one, or if unknown.

    Another server, and another account or project of the same one, know nothing of a batch that is paid for. A
    rehearsal costs nothing, has one key and another port each time.
    """
    if batch.rehearsal or batch.provider in registry.HERE:
        return None
    place = context.settings.base_url(batch.provider)
    if (place or "").rstrip("/") != (job.base_url or "").rstrip("/"):
        return f"it was sent to {job.base_url or 'the usual address'}, and {place or 'the usual address'} is asked now"
    noted = jobs.last_detail(tx, job.id, Event.SEND).get("key_mark")
    if noted is not None and noted != account(context, batch, job)["key_mark"]:
        return "it was sent with another key, project or organisation, whose batches this one may not see"
    return None


def _unsure_text(
    batch: BatchRecord, candidates: tuple[str, ...], moved: str | None, rivals: tuple[str, ...] = ()
) -> str:
    if moved:
        named = f"; may be this one: {', '.join(candidates[:5])}" if candidates else ""
        return f"{batch.provider} may or may not have accepted it: {moved}{named}"
    if not candidates:
        return f"{batch.provider} may or may not have accepted it, and cannot be asked"
    count = f"{len(candidates)} batches" if len(candidates) > 1 else "a batch"
    others = f"; it may as well be that of {', '.join(rivals)}, which has as many requests" if rivals else ""
    shown = ", ".join(candidate[:LONGEST_ID] for candidate in candidates[:5])
    return f"{batch.provider} has {count} that may be this one: {shown}{others}"


def unsure_hint(context: Context, batch: BatchRecord) -> str:
    """Hint for an unsure job."""
    has_no_tag = registry.get(batch.provider, context.settings).clock is not no_clock
    later = f"; once it has ended there, batchflow start {batch.name} knows it by its custom_ids" if has_no_tag else ""
    return (
        f"look at {batch.provider}'s console, then: batchflow start {batch.name} --adopt ID if it is there,"
        f" --resend if it is not{later}"
    )


def reconsider(context: Context, batch: BatchRecord, parts: tuple[JobRecord, ...]) -> tuple[JobRecord, ...]:
    """The jobs, once the unsure ones have what the vendor shows by now to be certainly theirs.

    The right key may be back, or results may show custom_ids. A vendor that cannot be asked changes nothing.
    """
    unsure = [job for job in parts if job.state is State.UNSURE]
    if not unsure or batch.provider in HERE:
        return parts
    with contextlib.suppress(BatchflowError), connected(context, batch) as session:
        for job in unsure:
            _reconsider(session, job)
    with context.ledger.read() as tx:
        return jobs.of_batch(tx, batch.id)


def _reconsider(session: VendorSession, job: JobRecord) -> None:
    context = session.context
    with context.ledger.read() as tx:
        remote_ids = jobs.remote_ids(tx)
        noted = jobs.last_detail(tx, job.id, Event.SEND).get("vendor_time")
    query = replace(session.job(job, remote_ids), vendor_time=noted)
    finding = session.once(session.vendor.find, query)
    with context.ledger.write() as tx:
        if finding.sure and _fits(finding, None, ()) and finding.ids[0] not in jobs.remote_ids(tx):
            _adopt(context, tx, session.batch, job, finding)


def decide(
    context: Context, batch: BatchRecord, parts: tuple[JobRecord, ...], *, adopt: str | None, resend: bool
) -> tuple[JobRecord, ...]:
    """Apply the user's --adopt or --resend to unsure jobs. Raises NeedsYou when there are some and neither is given."""
    unsure = [job for job in parts if job.state is State.UNSURE]
    if (adopt or resend) and not unsure:
        raise UsageError(f"{batch.name}: no job is unsure, there is nothing to adopt or resend")
    if not unsure:
        return parts
    if adopt and resend:
        raise UsageError("--adopt and --resend exclude each other")
    if not adopt and not resend:
        raise NeedsYou(f"{batch.name}, part {unsure[0].part}: {unsure[0].error}", hint=unsure_hint(context, batch))
    if adopt and len(unsure) > 1:
        raise UsageError(f"{batch.name}: {len(unsure)} jobs are unsure, --adopt takes one id", hint="use --resend")
    if adopt and identity(adopt) is None:
        raise UsageError(f"--adopt: an id has at most {LONGEST_ID} printable characters")
    now = context.clock()
    with context.ledger.write() as tx:
        if adopt and adopt in jobs.remote_ids(tx):
            text = f"{batch.name}: {adopt} is another part's already, of this batch or another"
            raise UsageError(text, hint="batchflow show NAME tells the ids of a batch's parts")
        for job in unsure:
            if adopt:
                facts: dict[str, Any] = {"remote_id": adopt, "accepted_at": now, "adopted": True, "error": None}
                jobs.move(tx, job.id, Event.ADOPT, now=now, detail={"by": "user"}, **facts)
            else:
                jobs.move(tx, job.id, Event.RESEND, now=now, detail={"by": "user"}, error=None)
        return jobs.of_batch(tx, batch.id)
