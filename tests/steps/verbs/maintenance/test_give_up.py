"""cancel --lost: a gateway that was restarted has a batch in its list, and nobody works on it any more."""

from __future__ import annotations

from datetime import timedelta

from helpers.commands import IMPATIENT, Project, dataset
from helpers.gateway import gateway

from batchflow.ledger import jobs


def looked(project):
    project.run("get", "b", "--refresh-after", 0)


def ten_minutes_later(project):
    with project.ledger() as ledger, ledger.write() as tx:
        job = jobs.get(tx, 1)
        before = timedelta(minutes=10)
        jobs.note(tx, 1, counted_at=job.counted_at - before, accepted_at=job.accepted_at - before)
    looked(project)


def test_a_batch_that_a_gateway_has_forgotten_is_given_up_once_it_was_to_be_cancelled(tmp_path):
    """Seen at OGX 1.5.0 after a kill: `in_progress` for ever, and `cancelling` for ever."""
    with gateway("forgets") as (url, held):
        project = Project(tmp_path, toml=f'{IMPATIENT}[gateways.cluster]\nbase_url = "{url}"\n')
        given = ("--provider", "cluster", "--model", "m", "--name", "b")
        project.ok("prepare", *given, "--dataset", dataset(tmp_path / "d.jsonl", count=4).name)
        project.ok("start", "b")
        looked(project)
        ten_minutes_later(project)
        assert "has counted 1 of 4 requests since" in project.run("get", "b").out
        assert "no vendor has reported" in project.refused(2, "cancel", "b", "--lost")  # nobody has cancelled it
        project.ok("cancel", "b")
        looked(project)
        assert "for 10 minutes" in project.refused(2, "cancel", "b", "--lost")  # it may be at it
        ten_minutes_later(project)
        assert project.ok("cancel", "b", "--lost")["lost"] == 1
        project.run("results", "b")
        assert project.run("show", "b", "--json").json["status"]["unanswered"] == {"missing": 4}
        assert "neither went on with this batch nor stopped it" in project.run("show", "b").out
        assert project.ok("retry", "b")["requests"] == 4
        assert sum("status" in each for each in held.values() if isinstance(each, dict)) == 1  # nothing was sent twice
