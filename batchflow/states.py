"""The state machine of a job, once. CHECK constraint, docs/states.md and tests are derived from `MOVES`.

A job is one vendor-side batch. Nothing here does I/O or knows SQL; `ledger.jobs.move` is the only writer.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Self


class _Explained(StrEnum):
    """Words with their meaning, as docs/states.md has it."""

    _value_: str
    meaning: str

    def __new__(cls, word: str, meaning: str) -> Self:
        """A member that equals its word."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.meaning = meaning
        return member


class State(_Explained):
    """The state of one job."""

    PREPARED = "prepared", "its processed file is written; nothing was sent"
    STARTING = "starting", "claimed by a process; only calls that cost nothing may have been made"
    SENDING = "sending", "intent and token are committed: the create call may have taken effect"
    RUNNING = "running", "the vendor accepted it and gave an id"
    ENDED = "ended", "the vendor has finished or failed it; its output is not downloaded yet"
    FETCHED = "fetched", "the raw output is on disk and every request has its outcome"
    REFUSED = "refused", "the vendor refused the create; nothing runs, nothing was paid"
    UNSURE = "unsure", "nobody can tell whether the vendor accepted it: a person decides"
    LOST = (
        "lost",
        "a person gave it up: the vendor no longer has it; `start` looks once more, and a job that is found goes on",
    )
    CANCELLED = "cancelled", "cancelled before it was ever sent"


class Event(_Explained):
    """A change of a job. Each event is one row of its history."""

    CLAIM = "claim", "a `start` takes the job; it takes over the claim of a dead process"
    RELEASE = "release", "nothing was created: no room at the vendor, a failed upload, a search that found nothing"
    SEND = "send", "the intent and its token are committed, right before the one call that spends money"
    ACCEPT = "accept", "the vendor's answer with its id is committed"
    ADOPT = "adopt", "the job is found after a crash, named by the user, or no longer lost"
    REFUSE = "refuse", "the vendor refuses the create"
    DOUBT = "doubt", "nobody can tell whether the create took effect"
    BOUNCE = "bounce", "the vendor accepted it, then failed it because its queue was full; nothing ran"
    FINISH = "finish", "the vendor says that it has finished or failed"
    FETCH = "fetch", "the raw output is on disk and every request has its outcome"
    DISOWN = "disown", "it was adopted as a guess, and the results belong to another batch"
    LOSE = "lose", "the vendor no longer has it, and a person has given it up"
    RESEND = "resend", "the user accepts the risk of paying twice (`--resend`)"
    ABANDON = "abandon", "it is cancelled before it was ever sent"


UNSENT = frozenset({State.PREPARED, State.REFUSED})
"""States in which nothing is out and no process is at work."""

MOVES: dict[Event, tuple[frozenset[State], State]] = {
    # a process takes the job; a crashed claim is taken over by `start` under the job's lock
    Event.CLAIM: (UNSENT | {State.STARTING}, State.STARTING),
    # nothing was created and nothing will be: no room at the vendor, an upload that failed, a find that came back empty
    Event.RELEASE: (frozenset({State.STARTING, State.SENDING}), State.PREPARED),
    Event.SEND: (frozenset({State.STARTING}), State.SENDING),
    Event.ACCEPT: (frozenset({State.SENDING}), State.RUNNING),
    # found again at the vendor after a crash, named by the user, or given up for lost and there after all
    Event.ADOPT: (frozenset({State.SENDING, State.UNSURE, State.LOST}), State.RUNNING),
    Event.REFUSE: (frozenset({State.STARTING, State.SENDING}), State.REFUSED),
    Event.DOUBT: (frozenset({State.SENDING}), State.UNSURE),
    # accepted, then failed its validation for want of room in the vendor's queue: nothing ran, nothing was paid
    Event.BOUNCE: (frozenset({State.RUNNING}), State.PREPARED),
    Event.FINISH: (frozenset({State.RUNNING}), State.ENDED),
    # a second fetch decodes the same bytes again, or replaces a download that was cut
    Event.FETCH: (frozenset({State.ENDED, State.FETCHED}), State.FETCHED),
    # adopted on likelihood, and what came back carries another batch's custom_ids
    Event.DISOWN: (frozenset({State.RUNNING, State.ENDED}), State.UNSURE),
    Event.LOSE: (frozenset({State.RUNNING, State.ENDED}), State.LOST),
    # the user takes the risk of paying twice, by name
    Event.RESEND: (frozenset({State.UNSURE}), State.PREPARED),
    Event.ABANDON: (UNSENT, State.CANCELLED),
}

NOT_OUT = UNSENT | {State.STARTING}
"""States in which no vendor has it, as far as the ledger knows."""

FINAL = frozenset({State.FETCHED, State.LOST, State.CANCELLED})
"""States after which no vendor is asked again, unless the user says so.

FETCHED may be entered again from itself, by decoding anew, and LOST be left when the job is found again.
"""


class Stage(StrEnum):
    """The stage of a batch: derived from its jobs, never stored."""

    PREPARED = "prepared"
    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"
    FINISHED = "finished"
    NEEDS_YOU = "needs_you"


def stage(states: Iterable[State]) -> Stage:
    """The stage of a batch from the states of its jobs. Raises ValueError for a batch without jobs."""
    seen = frozenset(states)
    if not seen:
        raise ValueError("a batch has at least one job")
    if seen & {State.UNSURE, State.REFUSED}:
        return Stage.NEEDS_YOU
    if seen <= FINAL:
        return Stage.FINISHED
    if seen <= FINAL | {State.ENDED}:
        return Stage.ENDED
    if seen <= {State.PREPARED, State.CANCELLED}:
        return Stage.PREPARED
    if seen & {State.STARTING, State.SENDING} and not seen & {State.RUNNING, State.ENDED}:
        return Stage.STARTING
    return Stage.RUNNING


def diagram() -> str:
    """The state machine as Mermaid text, one arrow per legal move; docs carry it, a test keeps it true."""
    arrows = [
        f"    {before.value} --> {after.value}: {event.value}"
        for event, (befores, after) in MOVES.items()
        for before in sorted(befores, key=list(State).index)
    ]
    return "\n".join(["stateDiagram-v2", "    [*] --> prepared", *arrows])


def table(members: Iterable[_Explained], head: str) -> str:
    """Markdown table of states or events with their meaning."""
    rows = (f"| `{member.value}` | {member.meaning} |" for member in members)
    return "\n".join([f"| {head} |", "| --- | --- |", *rows])
