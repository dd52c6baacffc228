"""Nothing is paid for twice and nothing of others is touched, where an absence or a likeness could be taken for proof.

Each test loses creates against the rehearsed vendors, by the vendors' real SDKs, and counts what took effect.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from helpers import warm
from helpers.commands import IMPATIENT, Project, dataset
from helpers.crossed import crossed
from helpers.until import until

from batchflow import settings
from batchflow.errors import NotReady
from batchflow.ledger import Ledger, batches, jobs
from batchflow.rehearsal import server as rehearsal
from batchflow.rehearsal.fake_state import Pace, Stand
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.settings import VENDORS
from batchflow.states import Event, State
from batchflow.steps.base.context import Context
from batchflow.steps.base.locks import here
from batchflow.steps.verbs.submission import start

MODELS = {"openai": "gpt-6-luna", "anthropic": "claude-haiku-5-5", "gemini": "gemini-3.5-flash-lite"}
HASTY = IMPATIENT.replace("find_grace_s = 0", "find_grace_s = 0.01")
every_vendor = pytest.mark.parametrize("name", VENDORS)


class World:
    """The rehearsed vendors and the projects that are pointed at them as at real ones."""

    def __init__(self, up, folder):
        self.up, self.site, self.folder = up, up.site, folder
        self.environment = {key: text for key, text in up.environment.items() if key != "BATCHFLOW_REHEARSAL"}

    def project(self, name="project", toml=HASTY, **environment):
        return Project(self.folder / name, {**self.environment, **environment}, toml)

    def fault(self, kind, **facts):
        self.site.faults.add(Fault(kind, **facts))

    def custom_ids(self):
        return [custom_id for made in self.site.creates for custom_id in made.custom_ids]


@pytest.fixture
def world(tmp_path):
    with rehearsal.running(tmp_path / "site", faults=Faults(), pace=Pace(1)) as up:
        yield World(up, tmp_path)


def prepare(project, vendor, name="b", *, count=5):
    dataset(project.folder / "data.jsonl", count=count)
    given = ("--provider", vendor, "--model", MODELS.get(vendor, "openai/gpt-oss-120b"), "--name", name)
    project.ok("prepare", *given, "--dataset", "data.jsonl")


def states(project, name="b"):
    with project.ledger() as ledger, ledger.read() as tx:
        return [job.state for job in jobs.of_batch(tx, batches.get(tx, name).id)]


def lost(world, project, vendor, name="b", *, when):
    """`start` in whose create the connection broke, before or after its effect, and the vendor could not be asked."""
    before = 1 if vendor == "anthropic" else 0  # its clock is read from a list
    world.site.faults.add(
        Fault("reset", vendor=vendor, call="create", when=when),
        Fault("status", vendor=vendor, call="list", status=503, nth=before + 1, times=2),
    )
    project.refused(5, "start", name)
    assert states(project, name) == [State.SENDING]


class TestTwins:
    """Two Anthropic batches of one size, both cut in their create: nothing tells whose the one at the vendor is."""

    def test_are_unsure_and_a_person_pays_each_once(self, world):
        project = world.project()
        for name, when in (("a", "before"), ("b", "after")):
            prepare(project, "anthropic", name)
            lost(world, project, "anthropic", name, when=when)
        (made,) = world.site.creates
        said = project.refused(6, "start", "--all")
        assert made.job_id in said
        assert "it may as well be that of b" in said
        assert states(project, "a") == states(project, "b") == [State.UNSURE]
        assert len(world.site.creates) == 1
        project.ok("start", "b", "--adopt", made.job_id)
        project.ok("start", "a", "--resend")
        assert len(set(world.custom_ids())) == len(world.custom_ids()) == 10

    def test_that_were_unsure_are_found_once_results_show_custom_ids(self, world):
        project = world.project()
        for name, when in (("a", "before"), ("b", "after")):
            prepare(project, "anthropic", name)
            lost(world, project, "anthropic", name, when=when)
        assert "by its custom_ids" in project.refused(6, "start", "b")
        (made,) = world.site.creates
        world.site.look("anthropic", made.job_id)
        assert project.ok("start", "b")["jobs"][0]["remote_id"] == made.job_id
        assert states(project, "b") == [State.RUNNING]
        assert len(world.site.creates) == 1

    def test_are_told_apart_once_results_show_custom_ids(self, world):
        project = world.project()
        for name, when in (("a", "before"), ("b", "after")):
            prepare(project, "anthropic", name)
            lost(world, project, "anthropic", name, when=when)
        (made,) = world.site.creates
        world.site.look("anthropic", made.job_id)
        project.ok("start", "--all")
        assert states(project, "a") == states(project, "b") == [State.RUNNING]
        assert len(set(world.custom_ids())) == len(world.custom_ids()) == 10


class TestStranger:
    """A colleague's Anthropic batch of our size, made while ours was lost: one key, two ledgers."""

    @pytest.fixture
    def pair(self, world):
        mine, theirs = world.project("mine"), world.project("theirs")
        prepare(mine, "anthropic")
        prepare(theirs, "anthropic", "other")
        lost(world, mine, "anthropic", when="before")
        theirs.ok("start", "other")
        return mine, theirs

    def test_is_taken_as_a_guess_that_is_neither_stopped_nor_removed(self, world, pair):
        mine, theirs = pair
        assert "most likely" in mine.run("start", "b").err
        (foreign,) = world.site.jobs("anthropic")
        assert "somebody else's" in mine.refused(6, "cancel", "b")
        assert world.site.job("anthropic", foreign.id).stand is Stand.RUNNING
        mine.run("get", "b", "--refresh-after", 0)
        assert "somebody else's" in mine.refused(6, "delete", "b", "--remote")
        theirs.run("get", "other", "--refresh-after", 0)
        assert theirs.ok("results", "other")["outcomes"] == {"ok": 5}

    def test_is_given_back_when_its_rows_are_seen(self, world, pair):
        mine, _ = pair
        mine.ok("start", "b")
        mine.run("get", "b", "--refresh-after", 0)
        mine.refused(6, "results", "b")
        assert states(mine) == [State.UNSURE]
        mine.ok("start", "b", "--resend")
        mine.run("get", "b", "--refresh-after", 0)
        assert mine.ok("results", "b")["outcomes"] == {"ok": 5}
        assert len(world.site.creates) == 2

    def test_is_stopped_where_a_person_says_so(self, world, pair):
        mine, _ = pair
        mine.ok("start", "b")
        mine.ok("cancel", "b", "--force")
        assert world.site.jobs("anthropic")[0].stand is Stand.CANCELLING

    def test_that_was_there_before_is_no_candidate(self, world):
        mine, theirs = world.project("mine"), world.project("theirs")
        prepare(theirs, "anthropic", "other")
        theirs.ok("start", "other")
        world.site.jobs("anthropic")[0].created_at -= 60
        prepare(mine, "anthropic")
        lost(world, mine, "anthropic", when="before")
        mine.ok("start", "b")
        assert len(world.site.creates) == 2

    def test_that_has_ended_is_known_by_its_custom_ids(self, world, pair):
        mine, theirs = pair
        theirs.run("get", "other", "--refresh-after", 0)
        mine.ok("start", "b")
        assert len(set(world.custom_ids())) == 10


@every_vendor
@pytest.mark.parametrize("cut", ["answer lost", "killed"])
def test_a_list_that_lags_behind_the_create_proves_nothing(world, name, cut):
    """The grace counts from the look that sees nothing: the create may have taken longer than any grace."""
    project = world.project()
    prepare(project, name)
    world.fault("late_list", call="job", polls=1)
    if cut == "killed":
        lost(world, project, name, when="after")
        time.sleep(0.02)  # longer than the grace
    else:
        world.fault("hang", call="create", seconds=0.05)
        world.fault("reset", call="create", when="after")
    project.ok("start", "b")
    assert len(world.site.creates) == 1


@pytest.mark.parametrize("name", [name for name in VENDORS if name != "anthropic"])
def test_a_vendor_that_is_still_at_work_on_a_create_that_was_cut_is_waited_for(world, name):
    """It received the create whole, and shows the batch later than any grace.

    Not Anthropic's: its rows travel in the create itself, and a kill may cut them off on their way.
    """
    project = world.project(toml=HASTY.replace("create_s = 0\n", ""))
    prepare(project, name)
    create, reached, go_on = world.site.create, threading.Event(), threading.Event()

    def slowly(*words, **facts):
        reached.set()
        go_on.wait(60)
        return create(*words, **facts)

    world.site.create = slowly
    command = [warm.python(), "-m", "batchflow", "start", "b"]
    environment = {**os.environ, **project.environment}
    child = subprocess.Popen(command, cwd=project.folder, env=environment, stdout=-1, stderr=-1)
    until(reached.is_set)
    child.kill()
    child.communicate()
    said = project.refused(7, "start", "b")
    assert "may be at work on it until" in said
    with sqlite3.connect(project.folder / "batchflow.db") as ledger:  # as if the clock had been set an hour ahead
        ledger.execute("UPDATE jobs SET sending_at = datetime(sending_at, '-1 hour')")
    project.refused(7, "start", "b")
    assert states(project) == [State.SENDING]
    go_on.set()
    until(lambda: world.site.creates)
    project.ok("start", "b")
    assert states(project) == [State.RUNNING]
    assert len(world.site.creates) == 1


@pytest.mark.parametrize(("name", "database"), crossed(VENDORS, ("sqlite", "postgresql"), each=1))
def test_a_batch_that_is_found_under_an_id_that_no_ledger_keeps_is_unsure(world, name, database, request):
    project = world.project()
    if database == "postgresql":
        server = request.getfixturevalue("postgres")
        ledger = server.create(request.getfixturevalue("migrated_database"))
        project.environment["BATCHFLOW_DATABASE_URL"] = server.url(ledger)
    prepare(project, name)
    lost(world, project, name, when="after")
    (ours,) = world.site.jobs(name)
    ours.id = "x" * 300
    assert "that may be this one: xxx" in project.refused(6, "start", "b")
    assert states(project) == [State.UNSURE]
    assert "an id has at most 256" in project.refused(2, "start", "b", "--adopt", ours.id)
    assert len(world.site.creates) == 1


@pytest.mark.parametrize(("name", "ahead_h"), crossed(VENDORS, (-26, 26, -216, 216), each=2))
def test_a_clock_that_is_days_wrong_finds_what_was_sent(world, name, ahead_h):
    project = world.project()
    world.site.clock = lambda: time.time() + 3600 * ahead_h
    prepare(project, name)
    lost(world, project, name, when="after")
    (made,) = world.site.creates
    ours = world.site.job(name, made.job_id)
    for number in range(150):  # newer ones, which push ours off the first page
        facts = {"input_id": ours.input_id, "model": ours.model, "endpoint": ours.endpoint, "extra": dict(ours.extra)}
        newer = world.site.create(name, job_id=f"{made.job_id}{number}", tags={}, **facts)
        newer.rows, newer.input_id = 3, f"another-{number}"
    project.ok("start", "b")
    assert world.site.calls.count((name, "create")) == 1
    with project.ledger() as ledger, ledger.read() as tx:
        assert jobs.remote_ids(tx) == {made.job_id}


class TestSharedLedger:
    """One PostgreSQL ledger for several folders or hosts."""

    @pytest.fixture
    def database(self, postgres, migrated_database):
        return postgres.create(migrated_database)

    @pytest.fixture
    def team(self, world, postgres, database):
        return world.project(BATCHFLOW_DATABASE_URL=postgres.url(database))

    def claim(self, project, by):
        with project.ledger() as ledger, ledger.write() as tx:
            (job,) = jobs.of_batch(tx, batches.get(tx, "b").id)
            now = jobs.clock(tx)
            jobs.move(tx, job.id, Event.CLAIM, now=now, claimed_by=by, claimed_at=now, token="t0")

    def test_a_copy_of_the_folder_is_another_place(self, world, team):
        prepare(team, "openai")
        self.claim(team, f"{here(team.folder / 'processed_files')}:1")
        shutil.copytree(team.folder, world.folder / "copy")
        copy = Project(world.folder / "copy", team.environment, team.toml)
        assert "another project folder" in copy.refused(7, "start", "b")
        assert world.site.creates == []
        team.ok("start", "b")  # where the claim was made, its lock tells that nobody lives
        assert len(world.site.creates) == 1

    @pytest.mark.parametrize("ahead_h", [-2, 2])
    def test_a_hosts_own_clock_takes_over_no_living_claim(self, world, team, ahead_h):
        prepare(team, "openai")
        self.claim(team, "elsewhere/0123456789abcdef:1")
        found = settings.load(team.folder, team.environment)
        with team.ledger() as ledger:
            context = Context(ledger, found, clock=wrong_clock(ahead_h))
            with pytest.raises(NotReady, match="elsewhere"):
                start.start(context, "b")
        assert world.site.creates == []

    def test_claims_are_dated_by_the_servers_clock(self, world, team):
        prepare(team, "openai")
        found = settings.load(team.folder, team.environment)
        with team.ledger() as ledger:
            with _environment(team.environment):
                start.start(Context(ledger, found, clock=wrong_clock(2)), "b")
            with ledger.read() as tx:
                (job,) = jobs.of_batch(tx, batches.get(tx, "b").id)
                assert abs(job.sending_at - jobs.clock(tx)) < timedelta(minutes=5)
                assert abs(job.claimed_at - jobs.clock(tx)) < timedelta(minutes=5)

    def test_a_connection_that_is_lost_during_the_create_loses_no_id(self, world, team, postgres, database):
        prepare(team, "openai")
        after_create(world, lambda: at_server(postgres, database, CUT))
        ran = team.run("start", "b", "--json")
        (made,) = world.site.creates
        assert (ran.code, ran.json["jobs"][0]["remote_id"]) == (0, made.job_id), ran
        assert f"openai accepted it as {made.job_id}" in ran.err

    def test_a_ledger_that_stays_away_after_the_create_is_told_with_the_id(self, world, team, postgres, database):
        prepare(team, "openai")
        after_create(world, lambda: at_server(postgres, database, SHUT, CUT))
        said = team.refused(4, "start", "b")
        at_server(postgres, database, OPEN)
        (made,) = world.site.creates
        assert f"openai accepted it as {made.job_id}" in said
        team.ok("start", "b")
        assert len(world.site.creates) == 1


def wrong_clock(ahead_h):
    return lambda: datetime.now(UTC) + timedelta(hours=ahead_h)


@contextlib.contextmanager
def _environment(values):
    with pytest.MonkeyPatch.context() as patch:
        for key, value in values.items():
            patch.setenv(key, value)
        yield


def after_create(world, do):
    """Do something at the moment at which the vendor has accepted a batch and has not answered yet."""
    create = world.site.create

    def then(*words, **facts):
        made = create(*words, **facts)
        do()
        return made

    world.site.create = then


def at_server(server, database, *statements):
    """Run statements as the server's owner, in another database than the ledger's."""
    ledger = Ledger.open(server.url("postgres"), migrate=False)
    with contextlib.closing(ledger), ledger.write() as tx:
        for statement in statements:
            tx.exec_driver_sql(statement.format(database))


CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"
SHUT, OPEN = 'ALTER DATABASE "{}" ALLOW_CONNECTIONS false', 'ALTER DATABASE "{}" ALLOW_CONNECTIONS true'


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai", "OPENAI_PROJECT_ID"),
        ("openai", "OPENAI_ORG_ID"),
        ("together", "TOGETHER_PROJECT_ID"),
        ("groq", "GROQ_CUSTOM_HEADERS"),
    ],
)
def test_another_project_under_one_key_proves_no_absence(world, name, variable):
    one, another = ("X-Project: a", "X-Project: b") if "HEADERS" in variable else ("proj_a", "proj_b")
    project = world.project(**{variable: one})
    prepare(project, name)
    lost(world, project, name, when="before")  # to the other project, it is as if it had not arrived
    project.environment[variable] = another
    assert "another key, project or organisation" in project.refused(6, "start", "b")
    assert world.site.creates == []


@every_vendor
def test_an_unsure_job_is_found_again_once_the_right_key_is_back(world, name):
    project = world.project()
    prepare(project, name)
    lost(world, project, name, when="after")
    (made,) = world.site.creates
    with project.ledger() as ledger, ledger.write() as tx:
        (job,) = jobs.of_batch(tx, batches.get(tx, "b").id)
        jobs.move(tx, job.id, Event.DOUBT, now=datetime.now(UTC), error="it was sent with another key")
    world.site.look(name, made.job_id)
    project.ok("start", "b")
    assert states(project) == [State.RUNNING]
    assert len(world.site.creates) == 1


@every_vendor
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_create_answered_by_a_redirect_is_sent_once(world, name, when):
    """303 to where nothing listens: to an SDK that follows it, a vendor that cannot be reached."""
    project = world.project()
    prepare(project, name)
    world.fault("redirect", call="create", when=when, status=303, message="http://127.0.0.1:1/")
    if when == "before":
        assert "nothing was created" in project.refused(5, "start", "b")
    project.ok("start", "b")
    assert len(world.site.creates) == 1
