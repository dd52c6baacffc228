"""Every interleaving of the create protocol, in a model of it; docs/crash-safety.md names the promises."""

from __future__ import annotations

import pytest
from helpers.create_model import Rules, explore

from batchflow.ledger import batches, jobs
from batchflow.states import State
from batchflow.steps.sending import journal

HOLDS = {
    "tags": Rules(),
    "no tags": Rules(has_tag=False),
    "two folders on one ledger": Rules(places=(0, 1), restores=0, kills=2, faults=2),
}

# Each rule is needed: without it the search finds the way to a second payment.
NEEDED = {
    "the folder's note": Rules(writes_note=False),
    "the job's lock": Rules(locks=False),
    "guarded commits": Rules(guards=False, places=(0, 1), restores=0),
    "the wait for a create that was cut": Rules(waits_create=False),
    "a wait that no change of the clock ends": Rules(trusts_clock=True),
    "a second look": Rules(looks_twice=False),
    "a look for sleep before the create": Rules(looks_for_sleep=False),
    "a list that is complete within the grace": Rules(is_listed_in_time=False),
}


@pytest.mark.parametrize("rules", HOLDS.values(), ids=HOLDS)
def test_no_interleaving_pays_twice_or_loses_a_batch(rules):
    outcome = explore(rules)
    assert outcome.promise is None, outcome.way
    assert outcome.worlds > 5000


@pytest.mark.parametrize("rules", NEEDED.values(), ids=NEEDED)
def test_each_rule_is_needed(rules):
    assert explore(rules).promise in {"one job was paid for twice", "the next start pays twice"}


def test_the_product_goes_through_the_steps_of_the_model_in_their_order(vendor, monkeypatch):
    seen = {}
    notes = vendor.project.folder / "processed_files" / ".locks"

    def look(step):
        with vendor.project.ledger() as ledger, ledger.read() as tx:
            (job,) = jobs.of_batch(tx, batches.get(tx, "b").id)
        seen[step] = (job.state, [path.suffix for path in notes.glob("*.sent")])

    remember, create = journal.remember, vendor.site.create
    monkeypatch.setattr(journal, "remember", lambda *args: (look("note"), remember(*args)))
    monkeypatch.setattr(vendor.site, "create", lambda *args, **facts: (look("create"), create(*args, **facts))[1])
    vendor.prepare()
    look("claim")
    vendor.project.ok("start", "b")
    look("accept")
    assert seen == {
        "claim": (State.PREPARED, []),
        "note": (State.STARTING, []),
        "create": (State.SENDING, [".sent"]),
        "accept": (State.RUNNING, [".sent"]),
    }
