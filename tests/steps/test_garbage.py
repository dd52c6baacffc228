"""Any bytes may come back: decoding never raises, and every request ends with exactly one outcome."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.commands import dataset
from helpers.crossed import WHOLE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchflow import files
from batchflow import settings as configuration
from batchflow.ledger import batches, jobs, request_rows
from batchflow.settings import VENDORS
from batchflow.states import Event
from batchflow.steps.base.context import Context
from batchflow.steps.base.vendor_calls import VendorSession
from batchflow.steps.collecting import fetch, results_file
from batchflow.vendors import registry

COUNT = 4


def lines(custom_ids):
    """Raw output made of rows that are nearly right, and of plain garbage."""
    ids = st.sampled_from([*custom_ids, "7-00000000-x", "", "0", None, 3])
    scalar = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
    value = st.recursive(
        scalar, lambda part: st.lists(part, max_size=3) | st.dictionaries(KEYS, part, max_size=4), max_leaves=12
    )
    row = st.builds(
        lambda key, custom, more: {**more, key: custom},
        st.sampled_from(["custom_id", "key"]),
        ids,
        st.dictionaries(KEYS, value, max_size=4),
    )
    good = row.map(lambda made: json.dumps(made).encode())
    return st.lists(good | st.binary(max_size=30), max_size=8).map(b"\n".join)


_WORDS = """response error status_code body choices message content usage result type text candidates parts finishReason
usageMetadata output refusal model prompt_tokens"""
KEYS = st.sampled_from(_WORDS.split())


@pytest.fixture(params=VENDORS)
def ended(request, project):
    """A batch of four whose vendor is done with it, and the place of its raw output."""
    dataset(project.folder / "data.jsonl", count=COUNT)
    project.ok("prepare", "--provider", request.param, "--dataset", "data.jsonl", "--name", "b")
    with project.ledger() as ledger:
        with ledger.write() as tx:
            batch = batches.get(tx, "b")
            job = jobs.of_batch(tx, batch.id)[0]
            now = batch.created_at
            for event, facts in (
                (Event.CLAIM, {}),
                (Event.SEND, {}),
                (Event.ACCEPT, {"remote_id": "r"}),
                (Event.FINISH, {}),
            ):
                jobs.move(tx, job.id, event, now=now, **facts)
            job = jobs.get(tx, job.id)
            ids = list(request_rows.custom_ids(tx, job.id))
        context = Context(ledger, configuration.load(project.folder, {}))
        yield context, batch, job, ids, project.folder / "processed_files/b.output.raw"


@settings(max_examples=40 if WHOLE else 20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_leave_one_outcome_for_each_request(ended, data):
    context, batch, job, ids, path = ended
    raw = data.draw(lines(ids))
    Path(path).write_bytes(raw)
    with context.ledger.write() as tx:  # as if it had just ended
        request_rows.clear(tx, job.id)
        tx.exec_driver_sql("UPDATE jobs SET state = 'ended'")
    name = str(path.relative_to(context.settings.project))
    file = {"kind": "output", "path": name, "bytes": len(raw), "sha256": files.digest(raw)}
    session = VendorSession(context, registry.get(batch.provider), None, batch)
    fetch.decode(session, job, fetch.Brought([file]))
    with context.ledger.read() as tx:
        tally = request_rows.tally(tx, batch.id)
        told = [request.custom_id for request in request_rows.stream(tx, batch.id)]
    assert tally.pending == 0
    assert sum(tally.outcomes.values()) == COUNT
    assert told == ids
    written = list(results_file.settled_rows(context, batch))
    assert [row.custom_id for row in written] == ids
