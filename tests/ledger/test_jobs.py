from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from helpers.rows import NOW, add_batch, add_job

from batchflow.errors import StaleState
from batchflow.ledger import Ledger, jobs
from batchflow.ledger.models import EVENTS, JOBS
from batchflow.states import MOVES, Event, State


def put(tx, job_id, state):
    """Past the only writer: a job in a state that a test starts from."""
    tx.execute(sa.update(JOBS).where(JOBS.c.id == job_id).values(state=state.value))


def in_state(ledger, state):
    with ledger.write() as tx:
        batch_id = add_batch(tx, f"in {state.value}")
        job_id = add_job(tx, batch_id)
        put(tx, job_id, state)
    return batch_id, job_id


def events(ledger, batch_id):
    with ledger.read() as tx:
        return jobs.history(tx, batch_id)


@pytest.mark.parametrize("what", Event)
def test_legal_moves_move_and_write_history_and_illegal_ones_do_neither(ledger, what):
    befores, after = MOVES[what]
    for state in State:
        batch_id, job_id = in_state(ledger, state)
        if state in befores:
            with ledger.write() as tx:
                assert jobs.move(tx, job_id, what, now=NOW, detail={"why": "test"}, word="seen") is after
            (event,) = events(ledger, batch_id)
            assert (event.job_id, event.event, event.state, event.at) == (job_id, what, after, NOW)
            assert event.detail == {"why": "test"}
        else:
            with pytest.raises(StaleState, match=f"job {job_id} is {state.value}"), ledger.write() as tx:
                jobs.move(tx, job_id, what, now=NOW, word="seen")
            assert events(ledger, batch_id) == ()
        with ledger.read() as tx:
            job = jobs.get(tx, job_id)
        assert (job.state, job.word) == ((after, "seen") if state in befores else (state, None))


def test_a_move_and_its_history_are_one_transaction(ledger):
    batch_id, job_id = in_state(ledger, State.PREPARED)
    with pytest.raises(ZeroDivisionError), ledger.write() as tx:
        jobs.note(tx, job_id, part=1 / (jobs.move(tx, job_id, Event.CLAIM, now=NOW) is None))
    with ledger.read() as tx:
        assert jobs.get(tx, job_id).state is State.PREPARED
    assert events(ledger, batch_id) == ()


def test_a_further_guard_holds(ledger):
    _, job_id = in_state(ledger, State.PREPARED)
    with pytest.raises(StaleState), ledger.write() as tx:
        jobs.move(tx, job_id, Event.CLAIM, now=NOW, where=JOBS.c.claimed_by == "somebody else")


def test_a_deleted_job_is_told(ledger):
    with pytest.raises(StaleState, match="gone"), ledger.write() as tx:
        jobs.move(tx, 4711, Event.CLAIM, now=NOW)
    with pytest.raises(StaleState, match="deleted"), ledger.read() as tx:
        jobs.get(tx, 4711)


def test_of_many_claims_at_once_one_is_granted(url, ledger):
    batch_id, job_id = in_state(ledger, State.PREPARED)
    with ledger.read() as tx:
        seen = jobs.get(tx, job_id)
    gate, granted, refused = threading.Barrier(8), [], []

    def claim(me):
        mine = Ledger.open(url)
        try:
            gate.wait()
            with mine.write() as tx:
                guard = jobs.as_seen(seen)
                jobs.move(tx, job_id, Event.CLAIM, now=NOW, where=guard, claimed_by=me, token=me)
            granted.append(me)
        except StaleState:
            refused.append(me)
        finally:
            mine.close()

    threads = [threading.Thread(target=claim, args=(f"host:{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(granted), len(refused)) == (1, 7)
    with ledger.read() as tx:
        assert jobs.get(tx, job_id).claimed_by == granted[0]
    assert len(events(ledger, batch_id)) == 1


def test_a_dead_owners_claim_is_taken_over_once(ledger):
    _, job_id = in_state(ledger, State.STARTING)
    with ledger.write() as tx:
        jobs.note(tx, job_id, claimed_by="dead:1")
        seen = jobs.get(tx, job_id)
        jobs.move(tx, job_id, Event.CLAIM, now=NOW, where=jobs.as_seen(seen), claimed_by="alive:2")
    with pytest.raises(StaleState), ledger.write() as tx:
        jobs.move(tx, job_id, Event.CLAIM, now=NOW, where=jobs.as_seen(seen), claimed_by="late:3")


def test_notes_never_touch_the_state(ledger):
    _, job_id = in_state(ledger, State.RUNNING)
    with pytest.raises(ValueError, match="move"), ledger.write() as tx:
        jobs.note(tx, job_id, state="fetched")
    with ledger.write() as tx:
        jobs.note(tx, job_id, word="in_progress", speed={"rows_per_s": 1.5})
        job = jobs.get(tx, job_id)
    assert (job.state, job.word, job.speed) == (State.RUNNING, "in_progress", {"rows_per_s": 1.5})


class TestMayAsk:
    """The right to ask a vendor: bounded by the last answer, by who is asking now, and by the vendor's wish."""

    @pytest.fixture
    def ask(self, ledger):
        _, job_id = in_state(ledger, State.RUNNING)

        def ask(at_s, every_s=10.0):
            now, every = NOW + timedelta(seconds=at_s), timedelta(seconds=every_s)
            with ledger.write() as tx:
                return jobs.may_ask(tx, job_id, now=now, answered_before=now - every, until=now + every)

        def note(**facts):
            with ledger.write() as tx:
                jobs.note(tx, job_id, **facts)

        return SimpleNamespace(ask=ask, note=note)

    def test_somebody_who_asks_right_now_is_left_to_it(self, ask):
        assert ask.ask(0)
        assert not ask.ask(9.9)
        assert ask.ask(10)

    def test_a_young_answer_is_young_enough_for_those_who_say_so(self, ask):
        ask.note(checked_at=NOW, next_check_at=NOW)
        assert not ask.ask(5)
        assert not ask.ask(59, every_s=60)
        assert ask.ask(5, every_s=5)

    def test_an_answer_from_the_future_counts_for_nothing(self, ask):
        """A clock that was hours ahead has been put right."""
        ask.note(checked_at=NOW + timedelta(hours=3), next_check_at=NOW + timedelta(hours=3, seconds=10))
        assert ask.ask(0)
        assert not ask.ask(1)
        ask.note(checked_at=NOW + timedelta(seconds=30), next_check_at=NOW)  # another host's clock is a little ahead
        assert not ask.ask(0)

    def test_a_vendors_wish_outlasts_impatience(self, ask):
        ask.note(checked_at=NOW, next_check_at=NOW + timedelta(seconds=30))
        assert not ask.ask(29, every_s=0)
        assert ask.ask(30, every_s=0)


def test_times_come_back_in_utc_whatever_zone_they_went_in_with(ledger):
    _, job_id = in_state(ledger, State.PREPARED)
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    with ledger.write() as tx:
        jobs.note(tx, job_id, claimed_at=elsewhere)
        read = jobs.get(tx, job_id).claimed_at
    assert read == NOW
    assert read.tzinfo is UTC or read.utcoffset() == timedelta(0)


def test_naive_times_are_refused(ledger):
    _, job_id = in_state(ledger, State.PREPARED)
    with pytest.raises((ValueError, sa.exc.StatementError), match="zone"), ledger.write() as tx:
        jobs.note(tx, job_id, claimed_at=datetime(2026, 11, 21))  # noqa: DTZ001 - the mistake itself


@pytest.mark.parametrize(
    ("table", "values"), [(JOBS, {"state": "flying"}), (EVENTS, {"event": "fly"}), (EVENTS, {"state": "flying"})]
)
def test_words_that_are_no_state_or_event_are_refused_by_the_database(ledger, table, values):
    _, job_id = in_state(ledger, State.PREPARED)
    with ledger.write() as tx:
        jobs.move(tx, job_id, Event.CLAIM, now=NOW)
    with pytest.raises(sa.exc.IntegrityError), ledger.write() as tx:
        tx.execute(sa.update(table).values(**values))


def test_two_jobs_never_own_one_vendor_id_or_token(ledger):
    _, first = in_state(ledger, State.RUNNING)
    _, second = in_state(ledger, State.ENDED)
    for column in ("remote_id", "token"):
        with ledger.write() as tx:
            jobs.note(tx, first, **{column: "the same"})
        with pytest.raises(sa.exc.IntegrityError), ledger.write() as tx:
            jobs.note(tx, second, **{column: "the same"})


def test_remote_ids_are_those_that_the_ledger_owns(ledger):
    _, first = in_state(ledger, State.RUNNING)
    in_state(ledger, State.PREPARED)
    with ledger.write() as tx:
        jobs.note(tx, first, remote_id="batch_1")
        assert jobs.remote_ids(tx) == {"batch_1"}


def test_jobs_of_a_batch_come_by_part(ledger):
    with ledger.write() as tx:
        batch_id = add_batch(tx)
        made = {part: add_job(tx, batch_id, part) for part in (2, 0, 1)}
        assert [job.id for job in jobs.of_batch(tx, batch_id)] == [made[0], made[1], made[2]]
        assert all(job.state is State.PREPARED for job in jobs.of_batch(tx, batch_id))
    with pytest.raises(sa.exc.IntegrityError), ledger.write() as tx:
        add_job(tx, batch_id, 1)
