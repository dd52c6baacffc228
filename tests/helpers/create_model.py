"""A model of the create protocol, small enough that every interleaving of it is tried.

One job, two processes, one vendor. A step is one commit, one file or one call, as in docs/crash-safety.md; between any
two of them a process may be killed, the other may run, and accidents may happen. Moves of the job are those of
`batchflow.states`. `explore` visits every world that can be reached, and returns the way to the first that breaks a
promise.

Assumptions: the vendor ends its work on a create within `create_s`; a create whose failure was heard has ended; a new
batch is listed within the grace; no process sleeps for an hour between its intent and the end of its create. One that
uploads may be taken for dead at any time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from batchflow.states import MOVES, Event, State

NOBODY = -1


class At(Enum):
    """The next step of a process."""

    IDLE = auto()
    LOCK = auto()
    READ = auto()
    CLAIM = auto()
    NOTE = auto()
    INTENT = auto()
    CALL = auto()
    WAIT = auto()
    HEARD = auto()
    ACCEPT = auto()
    LOOK = auto()
    LOOK_AGAIN = auto()
    SETTLE = auto()


@dataclass(frozen=True)
class Rules:
    """Rules of the protocol, and what the world may do; a test switches one off to see that it is needed."""

    has_tag: bool = True  # the vendor's batches carry our token; else they are told apart by size only
    places: tuple[int, int] = (0, 0)  # project folder of each process; two folders share the ledger, not the locks
    writes_note: bool = True  # the folder keeps the token of each create
    guards: bool = True  # a commit holds only where the job is as it was seen
    waits_create: bool = True  # an absence proves nothing while the vendor may be at work on a create that a kill cut
    trusts_clock: bool = False  # a jump of the ledger's clock ends that wait
    looks_twice: bool = True
    locks: bool = True
    is_listed_in_time: bool = True
    looks_for_sleep: bool = True  # no create is called long after its intent
    starts: int = 3
    kills: int = 1
    faults: int = 1
    jumps: int = 1
    restores: int = 1


class Job(NamedTuple):
    """The job's row. heard: the end of its create was heard of. owner: the folder that claimed it."""

    state: State = State.PREPARED
    token: int = 0
    heard: bool = False
    owner: int = NOBODY
    remote: int = 0


class Ledger(NamedTuple):
    """The ledger: the job and every token of its history."""

    job: Job = Job()
    tokens: frozenset[int] = frozenset()


class Process(NamedTuple):
    """One `start`. seen: the job as it was read. listed: batches that existed at the first look. found: what it saw."""

    at: At = At.IDLE
    seen: Job = Job()
    listed: frozenset[int] = frozenset()
    found: frozenset[int] = frozenset()
    after_call: bool = False


class Accidents(NamedTuple):
    """Accidents that may still happen."""

    starts: int
    kills: int
    faults: int
    jumps: int
    restores: int


class World(NamedTuple):
    """All there is. done, hidden: batches that the vendor made, and those of them that its list lacks yet.

    pending: creates on which the vendor is at work. aged: nobody would wait for the create any longer. old: the intent
    is an hour old. told: batches whose id a person was told. drawn: tokens so far.
    """

    left: Accidents
    ledger: Ledger = Ledger()
    backup: Ledger | None = None
    notes: tuple[int, int] = (0, 0)
    holders: tuple[int, int] = (NOBODY, NOBODY)
    processes: tuple[Process, Process] = (Process(), Process())
    pending: frozenset[int] = frozenset()
    done: frozenset[int] = frozenset()
    hidden: frozenset[int] = frozenset()
    told: frozenset[int] = frozenset()
    aged: bool = False
    old: bool = False
    drawn: int = 0


Step = tuple[str, World]


def first_world(rules: Rules) -> World:
    """One prepared job, and nobody at work."""
    return World(Accidents(rules.starts, rules.kills, rules.faults, rules.jumps, rules.restores))


def _moved(job: Job, event: Event, **changes: object) -> Job:
    """The job after an event. Raises AssertionError for one that the state table forbids: a fault of the model."""
    sources, target = MOVES[event]
    if job.state not in sources:
        raise AssertionError(f"{event} of a job in {job.state}")
    return job._replace(state=target, **changes)  # type: ignore[arg-type]


def _with(world: World, who: int, **changes: object) -> World:
    processes = list(world.processes)
    processes[who] = processes[who]._replace(**changes)  # type: ignore[arg-type]
    return world._replace(processes=(processes[0], processes[1]))


def _left(world: World, name: str) -> World:
    return world._replace(left=world.left._replace(**{name: getattr(world.left, name) - 1}))


def _ended(world: World, who: int) -> World:
    """The process ends, well or killed: the kernel frees its lock."""
    holders = tuple(NOBODY if holder == who else holder for holder in world.holders)
    return _with(world._replace(holders=(holders[0], holders[1])), who, **Process()._asdict())


def _noted(world: World, place: int, token: int) -> tuple[int, int]:
    return (token, world.notes[1]) if place == 0 else (world.notes[0], token)


def steps(rules: Rules, world: World) -> Iterator[Step]:
    """Every world that may come next, with what happened."""
    for who in (0, 1):
        for label, after in _of_process(rules, world, who):
            yield f"process {who}: {label}", after
        if world.processes[who].at is not At.IDLE and world.left.kills:
            yield f"process {who}: killed", _ended(_left(world, "kills"), who)
    yield from _of_vendor(rules, world)
    yield from _of_world(rules, world)


def _of_vendor(rules: Rules, world: World) -> Iterator[Step]:
    for token in world.pending:
        rest = world._replace(pending=world.pending - {token})
        made = rest._replace(done=world.done | {token})
        yield f"the vendor accepts {token}", made
        yield f"the vendor accepts {token}, unlisted", made._replace(hidden=world.hidden | {token})
        yield f"the vendor drops {token}", rest
    for token in world.hidden:
        yield f"the vendor lists {token}", world._replace(hidden=world.hidden - {token})


def _of_world(rules: Rules, world: World) -> Iterator[Step]:
    is_quiet = all(process.at in {At.IDLE, At.LOCK} for process in world.processes)
    if is_quiet and not world.pending and not world.hidden and not (world.aged and world.old):
        yield "an hour passes", world._replace(aged=True, old=True)
    if world.left.jumps and not world.aged and rules.trusts_clock:
        yield "the clock jumps", _left(world, "jumps")._replace(aged=True)
    if world.left.restores and world.backup is None:
        yield "a backup is made", world._replace(backup=world.ledger)
    if world.left.restores and world.backup is not None and is_quiet and world.backup != world.ledger:
        yield "the backup is restored", _left(world, "restores")._replace(ledger=world.backup)


def _of_process(rules: Rules, world: World, who: int) -> Iterator[Step]:
    yield from _STEPS[world.processes[who].at](rules, world, who)


def _starting(rules: Rules, world: World, who: int) -> Iterator[Step]:
    if world.left.starts:
        yield "start", _with(_left(world, "starts"), who, at=At.LOCK)


def _locking(rules: Rules, world: World, who: int) -> Iterator[Step]:
    place = rules.places[who]
    if not rules.locks:
        yield "takes no lock", _with(world, who, at=At.READ)
    elif world.holders[place] == NOBODY:
        holders = (who, world.holders[1]) if place == 0 else (world.holders[0], who)
        yield "locks", _with(world._replace(holders=holders), who, at=At.READ)


def _calling(rules: Rules, world: World, who: int) -> Iterator[Step]:
    seen, job = world.processes[who].seen, world.ledger.job
    if rules.looks_for_sleep and world.aged:
        if job == seen:
            world = world._replace(ledger=world.ledger._replace(job=_moved(job, Event.RELEASE, owner=NOBODY)))
        yield "has slept, sends nothing", _ended(world, who)
        return
    pending = world.pending | {seen.token}
    yield "calls create", _with(world._replace(pending=pending), who, at=At.WAIT)
    if not world.aged:
        yield "sleeps before its create", world._replace(aged=True)


def _hearing(rules: Rules, world: World, who: int) -> Iterator[Step]:
    seen, job = world.processes[who].seen, world.ledger.job
    job = job._replace(heard=True) if job.token == seen.token else job
    world = world._replace(ledger=world.ledger._replace(job=job))
    yield "notes the failure", _with(world, who, at=At.LOOK, seen=seen._replace(heard=True), after_call=True)


def _read(rules: Rules, world: World, who: int) -> Iterator[Step]:
    job, place = world.ledger.job, rules.places[who]
    if job.state not in {State.PREPARED, State.STARTING, State.SENDING}:
        yield "nothing to do", _ended(world, who)
        return
    if job.state is not State.PREPARED and job.owner not in {place, NOBODY} and not world.old:
        yield "another folder is at it", _ended(world, who)
        if job.state is State.SENDING:
            return  # else its signs of life may be late, and it is taken for dead
    if job.state is State.SENDING:
        yield "asks about it", _with(world, who, at=At.LOOK, seen=job)
        return
    note = world.notes[place]
    is_claimed_as = job.state is State.STARTING and job.token == note
    if note and (note not in world.ledger.tokens or is_claimed_as):
        claimed = job if is_claimed_as else _moved(job, Event.CLAIM, token=note, owner=NOBODY, heard=False, remote=0)
        sending = _moved(claimed, Event.SEND)
        world = world._replace(ledger=Ledger(sending, world.ledger.tokens | {note}))
        yield "takes up the note", _with(world, who, at=At.LOOK, seen=sending)
        return
    yield "reads", _with(world, who, at=At.CLAIM, seen=job)


def _towards_create(rules: Rules, world: World, who: int) -> Iterator[Step]:
    process, place = world.processes[who], rules.places[who]
    if process.at is At.NOTE:
        notes = _noted(world, place, process.seen.token) if rules.writes_note else world.notes
        yield "writes its note", _with(world._replace(notes=notes), who, at=At.INTENT)
        return
    job = world.ledger.job
    if rules.guards and job != process.seen:
        yield "was overtaken", _ended(world, who)
        return
    if process.at is At.CLAIM:
        token = world.drawn + 1
        if job.state not in MOVES[Event.CLAIM][0]:
            yield "was overtaken", _ended(world, who)
            return
        job = _moved(job, Event.CLAIM, token=token, owner=place, heard=False)
        world = world._replace(ledger=Ledger(job, world.ledger.tokens | {token}), drawn=token, old=False)
        yield f"claims as {token}", _with(world, who, at=At.NOTE, seen=job)
        return
    if job.state is not State.STARTING:
        yield "was overtaken", _ended(world, who)
        return
    job = _moved(job, Event.SEND, token=process.seen.token)
    world = world._replace(ledger=world.ledger._replace(job=job), aged=False)
    yield "commits its intent", _with(world, who, at=At.CALL, seen=job)


def _waiting(rules: Rules, world: World, who: int) -> Iterator[Step]:
    token = world.processes[who].seen.token
    if token in world.pending:
        return
    if token in world.done:
        yield "hears that it was accepted", _with(world, who, at=At.ACCEPT)
        if world.left.faults:
            yield "hears nothing of its acceptance", _with(_left(world, "faults"), who, at=At.HEARD)
    else:
        yield "hears of a failure", _with(world, who, at=At.HEARD)


def _accepted(rules: Rules, world: World, who: int) -> Iterator[Step]:
    seen, job = world.processes[who].seen, world.ledger.job
    if job == seen:
        job = _moved(job, Event.ACCEPT, remote=seen.token)
        yield "commits the id", _ended(world._replace(ledger=world.ledger._replace(job=job)), who)
        return
    yield "tells the id", _ended(world._replace(told=world.told | {seen.token}), who)


def _looking(rules: Rules, world: World, who: int) -> Iterator[Step]:
    process = world.processes[who]
    listed = world.done - world.hidden - {world.ledger.job.remote}
    found = process.found | (listed & {process.seen.token} if rules.has_tag else listed)
    if process.at is At.LOOK_AGAIN:
        if rules.is_listed_in_time and world.hidden & process.listed:
            return  # the grace lasts until the list has what there was before it
        yield f"looks again, sees {sorted(found)}", _with(world, who, at=At.SETTLE, found=found)
    elif not found and rules.waits_create and not world.aged and not process.seen.heard:
        yield "waits for the vendor", _ended(world, who)
    else:
        at = At.SETTLE if found or not rules.looks_twice else At.LOOK_AGAIN
        yield f"looks, sees {sorted(found)}", _with(world, who, at=at, found=found, listed=world.done)


def _settled(rules: Rules, world: World, who: int) -> Iterator[Step]:
    process, job = world.processes[who], world.ledger.job
    if (rules.guards and job != process.seen) or job.state is not State.SENDING:
        yield "was overtaken", _ended(world, who)
        return
    if len(process.found) == 1:
        (token,) = process.found
        job = _moved(job, Event.ADOPT, remote=token)
        yield f"adopts {token}", _ended(world._replace(ledger=world.ledger._replace(job=job)), who)
        return
    if process.found:
        job = _moved(job, Event.DOUBT)
        yield "is unsure", _ended(world._replace(ledger=world.ledger._replace(job=job)), who)
        return
    job = _moved(job, Event.RELEASE, owner=NOBODY)
    world = world._replace(ledger=world.ledger._replace(job=job))
    if process.after_call:
        yield "nothing was created", _ended(world, who)
        return
    yield "nothing was created, goes on", _with(world, who, at=At.READ, found=frozenset())


_STEPS = {
    At.IDLE: _starting,
    At.LOCK: _locking,
    At.READ: _read,
    At.CLAIM: _towards_create,
    At.NOTE: _towards_create,
    At.INTENT: _towards_create,
    At.CALL: _calling,
    At.WAIT: _waiting,
    At.HEARD: _hearing,
    At.ACCEPT: _accepted,
    At.LOOK: _looking,
    At.LOOK_AGAIN: _looking,
    At.SETTLE: _settled,
}


def broken(rules: Rules, world: World) -> str | None:
    """The promise that a world breaks, or None."""
    if len(world.done) > 1:
        return "one job was paid for twice"
    if any(process.at is not At.IDLE for process in world.processes) or world.pending or world.hidden:
        return None
    ends = [_run_out(rules, world, who) for who in (0, 1) if world.notes[rules.places[who]] or not any(world.notes)]
    for end in ends:
        job = end.ledger.job
        if len(end.done) > 1:
            return "the next start pays twice"
        if job.state is State.UNSURE or world.told >= end.done:
            continue
        if job.state is not State.RUNNING or frozenset({job.remote}) != end.done:
            return f"the next start leaves the job {job.state}, and the vendor has {sorted(end.done)}"
    return None


def _run_out(rules: Rules, world: World, who: int) -> World:
    """The world after an undisturbed `start` an hour later, at which the vendor does what it is asked."""
    world = world._replace(left=Accidents(1, 0, 0, 0, 0), aged=True, old=True)
    while True:
        following = list(_of_process(rules, world, who))
        if world.pending:
            (token,) = world.pending
            world = world._replace(pending=frozenset(), done=world.done | {token})
        elif following:
            world = following[0][1]
        else:
            return world


class Outcome(NamedTuple):
    """Result of a search. worlds: how many were visited. promise, way: what breaks first, and the steps to it."""

    worlds: int
    promise: str | None
    way: tuple[str, ...]


def explore(rules: Rules) -> Outcome:
    """Visit every world that can be reached, the nearest first."""
    start = first_world(rules)
    came: dict[World, tuple[World, str] | None] = {start: None}
    queue = deque([start])
    while queue:
        world = queue.popleft()
        if (promise := broken(rules, world)) is not None:
            return Outcome(len(came), promise, _way(came, world))
        for label, after in steps(rules, world):
            if after not in came:
                came[after] = (world, label)
                queue.append(after)
    return Outcome(len(came), None, ())


def _way(came: dict[World, tuple[World, str] | None], world: World) -> tuple[str, ...]:
    labels: list[str] = []
    while (step := came[world]) is not None:
        world, label = step
        labels.append(label)
    return tuple(reversed(labels))
