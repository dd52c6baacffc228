"""A short sample of the chaos of scripts/chaos, and the counting that it relies on."""

from __future__ import annotations

import pytest
from crash.chaos import Chaos, vendors

from batchflow.ledger import batches, jobs
from batchflow.states import State

SAMPLE = {"sqlite": 3, "postgresql": 4}  # seeds


@pytest.mark.parametrize("database", SAMPLE)
def test_nothing_is_created_twice_lost_or_doubled(tmp_path, request, database):
    url = None
    if database == "postgresql":
        server = request.getfixturevalue("postgres")
        url = server.url(server.create(request.getfixturevalue("migrated_database")))
    with vendors(tmp_path / "vendors") as up:
        has_store = database == "postgresql"  # as a team has it
        chaos = Chaos(tmp_path / "project", up, url, size=3, seed=SAMPLE[database], has_store=has_store)
        counts = chaos.run(processes=3, seconds=2)
        assert counts.wrong == {}
        assert counts.jobs > 0
        assert chaos.store.exists() == has_store
        spoil(chaos)
    assert set(chaos.recounted().wrong) >= {"created_twice", "rows_doubled", "untrue"}


def spoil(chaos):
    """Everything that the counts look for, done to one batch that has ended."""
    with chaos.ledger() as ledger, ledger.write() as tx:
        parts = [(batch, job) for batch in batches.listing(tx) for job in jobs.of_batch(tx, batch.id)]
        batch, job = next((batch, job) for batch, job in parts if job.state is State.FETCHED and batch.results_path)
        jobs.note(tx, job.id, remote_id="nobody-knows-it")
    path = chaos.folder / batch.results_path
    path.write_bytes(path.read_bytes() * 2)
    chaos.site.creates += [one for one in chaos.site.creates if one.job_id == job.remote_id]
