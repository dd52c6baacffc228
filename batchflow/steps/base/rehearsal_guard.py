"""The wall between a rehearsal and the real thing: no made-up answer gets among real ones, and nobody pays for one.

Every command that asks a vendor looks here first, `get` too, so this module imports little.
"""

from __future__ import annotations

from collections.abc import Sequence

from batchflow.errors import WrongWorld
from batchflow.ledger import batches
from batchflow.ledger.records import BatchRecord, JobRecord
from batchflow.settings import Settings
from batchflow.states import NOT_OUT
from batchflow.steps.base.context import Context
from batchflow.vendors.registry import HERE


def is_elsewhere(settings: Settings, provider: str, *, rehearsal: bool) -> bool:
    """Tells whether the batch is on the other side: sent for real and asked about in a rehearsal, or the reverse."""
    return provider not in HERE and rehearsal != settings.rehearsal


def refuse_elsewhere(context: Context, batch: BatchRecord) -> None:
    """Raise WrongWorld where the vendor here cannot know a batch, so that no answer of it is taken for one about it."""
    if is_elsewhere(context.settings, batch.provider, rehearsal=batch.rehearsal):
        raise WrongWorld(why_elsewhere(batch), inside=batch.rehearsal)


def asked_where(batch: BatchRecord) -> str:
    """Returns the hint for a batch that cannot be asked about here."""
    if batch.rehearsal:
        return f"batchflow rehearse -- batchflow get {batch.name}"
    return "type the command outside of `batchflow rehearse`"


def why_elsewhere(batch: BatchRecord) -> str:
    """Returns the reason why a batch cannot be asked about here."""
    if batch.rehearsal:
        return f"{batch.name} was sent in a rehearsal, and the real {batch.provider} does not know it"
    return f"{batch.name} was sent for real, and the rehearsed {batch.provider} does not know it"


_ASKING = frozenset({"start", "get", "results", "retry", "jury", "score", "compare", "rank", "cancel"})


def typed_here(settings: Settings, batch: BatchRecord, command: str) -> str:
    """The next command of a batch as it has to be typed here: outside, a rehearsed one goes on inside `rehearse --`."""
    outside = batch.rehearsal and is_elsewhere(settings, batch.provider, rehearsal=True)
    return f"batchflow rehearse -- {command}" if outside and command.split()[1] in _ASKING else command


def keep_apart(context: Context, batch: BatchRecord, parts: Sequence[JobRecord]) -> BatchRecord:
    """The batch that is about to be sent, marked as rehearsal from here on when rehearsed vendors will answer it.

    Raises WrongWorld where made-up answers would get among real ones, or a rehearsal would be paid for.
    """
    refuse_another_world(context, batch, is_unsent=all(job.state in NOT_OUT for job in parts))
    if batch.parent_id is not None:
        with context.ledger.read() as tx:
            parent = batches.by_id(tx, batch.parent_id)
        refuse_paid_judges(context, parent, [batch.provider])
    if batch.provider in HERE or batch.rehearsal or not context.settings.rehearsal:
        return batch
    with context.ledger.write(batch.id) as tx:
        batches.note(tx, batch.id, rehearsal=True)
        return batches.by_id(tx, batch.id)


def refuse_another_world(context: Context, batch: BatchRecord, *, is_unsent: bool) -> None:
    """Raise WrongWorld for a rehearsed batch outside of a rehearsal, and for one inside that has real answers.

    is_unsent: no part of it has gone out; a retry's answers stand in another batch, so it never counts as such.
    """
    if batch.provider in HERE or batch.rehearsal == context.settings.rehearsal:
        return
    if batch.rehearsal:
        raise WrongWorld(
            f"{batch.name} is a rehearsal batch; here {batch.provider} would be asked and paid for it",
            inside=True,
            hint="to send it for real: prepare it anew under another --name",
        )
    if not is_unsent or batch.retries_id is not None:
        raise WrongWorld(
            f"{batch.name} has been sent for real: a rehearsal would mix made-up answers into it",
            inside=False,
            hint="or rehearse with a batch of another --name",
        )


def refuse_paid_judges(context: Context, parent: BatchRecord, providers: Sequence[str]) -> None:
    """Raise WrongWorld where vendors would be paid for judging made-up answers; rules and local judges cost nothing."""
    paid = sorted(set(providers) - HERE)
    if not paid or not parent.rehearsal or context.settings.rehearsal:
        return
    raise WrongWorld(
        f"the answers of {parent.name} come from a rehearsal; here {', '.join(paid)} would be paid for judging them",
        inside=True,
        hint="or judges that cost nothing: --judges rule:exact, or local:MODEL",
    )
