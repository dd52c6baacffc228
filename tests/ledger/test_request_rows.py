from __future__ import annotations

import pytest
import sqlalchemy as sa
from helpers.rows import NOW, add_batch, add_job, add_requests, answered, custom_id, request_id
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batchflow.ledger import batches, dialect, request_rows
from batchflow.ledger.models import JOBS, REQUESTS
from batchflow.ledger.request_rows import NewVote
from batchflow.records import Outcome, Parsed


@pytest.fixture
def batch(ledger):
    """A batch of two jobs: 0..4 and 5..7. Another batch stands on either side of it."""
    with ledger.write() as tx:
        before, middle, after = (add_batch(tx, name) for name in ("before", "middle", "after"))
        for other in (before, after):
            add_requests(tx, other, add_job(tx, other), range(3))
        first, second = add_job(tx, middle, 0), add_job(tx, middle, 1)
        add_requests(tx, middle, first, range(5))
        add_requests(tx, middle, second, range(5, 8))
    return middle, first, second


def streamed(ledger, batch_id):
    with ledger.read() as tx:
        return list(request_rows.stream(tx, batch_id))


def test_the_stream_is_the_batch_in_its_order(ledger, batch):
    middle, first, second = batch
    read = streamed(ledger, middle)
    assert [row.custom_id for row in read] == [custom_id(seq) for seq in range(8)]
    assert [row.job_id for row in read] == [first] * 5 + [second] * 3
    assert all(row.outcome is None for row in read)


@pytest.mark.parametrize("chunk", [1, 3, 4, 8, 100])
def test_the_stream_crosses_its_chunks(ledger, batch, monkeypatch, chunk):
    monkeypatch.setattr(request_rows, "CHUNK", chunk)
    assert len(streamed(ledger, batch[0])) == 8


def test_settled_outcomes_are_read_back_as_they_were_written(ledger, batch):
    middle, _, _ = batch
    odd = answered(middle, 6, "error", error="nul \0 and \N{LINE SEPARATOR} ünd 漢", input_tokens=None, raw_file=1)
    with ledger.write() as tx:
        assert request_rows.settle(tx, [answered(middle, 0), odd]) == 2
    read = streamed(ledger, middle)
    assert (read[0].outcome, read[0].parsed, read[0].input_tokens, read[0].raw_length) == ("ok", "strict", 10, 100)
    nul = "\0" if ledger.url.startswith("sqlite") else "\N{REPLACEMENT CHARACTER}"  # PostgreSQL cannot hold NUL
    assert read[6].error == f"nul {nul} and \N{LINE SEPARATOR} ünd 漢"
    assert (read[6].input_tokens, read[6].raw_file, read[6].raw_offset) == (None, 1, 600)


def test_a_custom_id_that_was_never_sent_reaches_nothing(ledger, batch):
    middle, _, _ = batch
    forged = answered(middle, 0)
    forged = forged._replace(custom_id="0-feedbeef-x")
    with ledger.write() as tx:
        assert request_rows.settle(tx, [forged, answered(middle, 1)]) == 1
    assert [row.outcome for row in streamed(ledger, middle)[:2]] == [None, "ok"]


def test_settling_nothing_is_nothing(ledger):
    with ledger.write() as tx:
        assert request_rows.settle(tx, []) == 0
        request_rows.insert(tx, [])


def test_closing_leaves_what_is_answered_and_other_jobs(ledger, batch):
    middle, first, _ = batch
    with ledger.write() as tx:
        request_rows.settle(tx, [answered(middle, 2)])
        assert request_rows.close_open(tx, first, "missing", "no row came") == 4
    read = streamed(ledger, middle)
    assert [row.outcome for row in read] == ["missing", "missing", "ok", "missing", "missing", None, None, None]
    assert read[0].error == "no row came"


def test_clearing_forgets_a_jobs_outcomes_only(ledger, batch):
    middle, first, _ = batch
    with ledger.write() as tx:
        request_rows.settle(tx, [answered(middle, seq) for seq in range(8)])
        request_rows.clear(tx, first)
    read = streamed(ledger, middle)
    assert [row.outcome for row in read] == [None] * 5 + ["ok"] * 3
    assert (read[0].input_tokens, read[0].raw_offset, read[0].model) == (None, None, None)
    assert read[0].custom_id == custom_id(0)


def test_outcomes_are_cleared_whatever_a_jobs_counts_were_before(ledger, batch):
    middle, first, _ = batch
    with ledger.write() as tx:
        tx.execute(
            sa.update(JOBS).where(JOBS.c.id == first).values(counts=[[None, None, 5, 0, 0, 0, 0]])
        )  # as prepared
        for _ in range(2):
            request_rows.clear(tx, first)
            assert request_rows.tally(tx, middle).outcomes == {}
            assert tx.scalar(sa.select(JOBS.c.counts).where(JOBS.c.id == first)) is None
            request_rows.settle(tx, [answered(middle, seq) for seq in range(5)])


def test_span_and_custom_ids_are_the_jobs_own(ledger, batch):
    middle, _, second = batch
    with ledger.write() as tx:
        assert request_rows.span(tx, second) == (request_id(middle, 5), request_id(middle, 7))
        assert list(request_rows.custom_ids(tx, second)) == [custom_id(seq) for seq in (5, 6, 7)]
        with pytest.raises(ValueError, match="no requests"):
            request_rows.span(tx, add_job(tx, middle, 2))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([None, *Outcome]), min_size=1, max_size=12),
    st.lists(st.sampled_from(Parsed), min_size=12, max_size=12),
)
def test_the_tally_adds_up(ledger, outcomes, parses):
    with ledger.write() as tx:
        batch_id = add_batch(tx, f"tallied {tx.scalar(sa.text('SELECT count(*) FROM batches'))}")
        add_requests(tx, batch_id, add_job(tx, batch_id), range(len(outcomes)))
        parsed = [p if o is Outcome.OK else None for o, p in zip(outcomes, parses, strict=False)]
        done = [
            answered(batch_id, seq, o.value, parsed=parsed[seq] and parsed[seq].value, output_tokens=2**31 - 1)
            for seq, o in enumerate(outcomes)
            if o is not None
        ]
        request_rows.settle(tx, done)
        tally = request_rows.tally(tx, batch_id)
        tx.execute(sa.update(JOBS).where(JOBS.c.batch_id == batch_id).values(state="fetched"))
        request_rows.keep_counts(tx, batch_id)
        (kept,) = tx.execute(sa.select(JOBS.c.id, JOBS.c.counts).where(JOBS.c.batch_id == batch_id)).fetchall()
        assert sum(row[2] for row in kept.counts) == len(outcomes)
        assert request_rows.tally(tx, batch_id) == tally
        request_rows.close_open(tx, kept.id, Outcome.MISSING.value, "no row")
        assert request_rows.tally(tx, batch_id).pending == 0
    assert tally.requests == len(outcomes)
    assert tally.pending == outcomes.count(None)
    assert tally.pending + sum(tally.outcomes.values()) == tally.requests
    assert tally.outcomes == {o.value: outcomes.count(o) for o in sorted(Outcome) if o in outcomes}
    assert sum(tally.parsed.values()) == outcomes.count(Outcome.OK)
    assert tally.output_tokens == len(done) * (2**31 - 1)  # sums are wider than the column


def test_bulk_says_how_many_rows_it_touched(ledger, batch):
    with ledger.write() as tx:
        statement = "UPDATE requests SET error = ? WHERE id = ?"
        ids = [request_id(batch[0], seq) for seq in (0, 3, 99)]
        assert dialect.bulk(tx, statement, [("seen", one) for one in ids]) == 2


@pytest.mark.parametrize(("column", "word"), [("outcome", "fine"), ("parsed", "maybe")])
def test_words_that_are_no_outcome_are_refused_by_the_database(ledger, batch, column, word):
    with pytest.raises(sa.exc.IntegrityError), ledger.write() as tx:
        tx.execute(sa.update(REQUESTS).values(**{column: word}))


class TestVotes:
    @pytest.fixture
    def judge(self, ledger, batch):
        with ledger.write() as tx:
            judge = add_batch(tx, "judge", kind="judge", parent_id=batch[0])
            add_requests(tx, judge, add_job(tx, judge), range(4), about=batch[0])
        return judge

    def ballot(self, batch, judge):
        said = [("valid", 1.0, "yes", None), ("missing", None, None, None), ("unparsed", None, None, "cut off")]
        return [
            NewVote(request_id(judge, seq), field, request_id(batch[0], seq), *vote)
            for seq, vote in enumerate(said)
            for field in ("first", "second")
        ]

    def test_come_back_by_what_they_are_about(self, ledger, batch, judge):
        with ledger.write() as tx:
            request_rows.put_votes(tx, judge, self.ballot(batch, judge)[::-1])
            assert list(request_rows.votes(tx, judge)) == [
                (request_id(batch[0], seq), field, status, value)
                for seq, (status, value) in enumerate([("valid", 1.0), ("missing", None), ("unparsed", None)])
                for field in ("first", "second")
            ]
            kept = request_rows.counted_votes(tx, judge)
            assert [vote for votes in kept.values() for vote in votes] == self.ballot(batch, judge)
            assert request_rows.voted(tx, judge) == {request_id(batch[0], 0): 1}
            assert request_rows.unread_votes(tx, judge) == {"cut off": 1}

    def test_counting_again_replaces_them(self, ledger, batch, judge):
        with ledger.write() as tx:
            request_rows.put_votes(tx, judge, self.ballot(batch, judge))
            request_rows.put_votes(tx, judge, self.ballot(batch, judge)[:1])
            assert len(list(request_rows.votes(tx, judge))) == 1

    def test_go_with_their_batch_and_leave_the_others(self, ledger, batch, judge):
        with ledger.write() as tx:
            request_rows.put_votes(tx, judge, self.ballot(batch, judge))
            batches.record_score(tx, batch[0], field="both_correct", method="mean", now=NOW, summary={"score": 0.5})
            batches.delete(tx, [judge, batch[0]])
            assert [b.name for b in batches.listing(tx)] == ["before", "after"]
            for table, left in (("votes", 0), ("scores", 0), ("jobs", 2), ("requests", 6), ("events", 0)):
                assert tx.scalar(sa.text(f"SELECT count(*) FROM {table}")) == left

    def test_a_parent_cannot_go_before_its_judges(self, ledger, batch, judge):
        with pytest.raises(sa.exc.IntegrityError), ledger.write() as tx:
            batches.delete(tx, [batch[0]])


def test_a_hundred_thousand_rows_go_in_and_out_in_bulk(ledger):
    count = 20_000 if ledger.url.startswith("postgresql") else 100_000
    with ledger.write() as tx:
        batch_id = add_batch(tx)
        job_id = add_job(tx, batch_id)
        for start in range(0, count, request_rows.CHUNK):
            add_requests(tx, batch_id, job_id, range(start, min(count, start + request_rows.CHUNK)))
    with ledger.read() as tx:
        assert sum(1 for _ in request_rows.stream(tx, batch_id)) == count
        assert request_rows.tally(tx, batch_id).pending == count


def test_the_models_that_served_a_batch_are_its_own(ledger, batch):
    before, (middle, _, _) = batch[0] - 1, batch
    with ledger.write() as tx:
        served = [answered(middle, seq, model=word) for seq, word in enumerate(("a", "b", "a", None))]
        request_rows.settle(tx, [*served, answered(before, 0, model="stranger")])
    with ledger.read() as tx:
        assert request_rows.models(tx, middle) == {"a", "b"}


class TestMergeRetry:
    @pytest.fixture
    def retried(self, ledger):
        """A root of six answered requests between two batches, and a retry that is about each of them."""
        with ledger.write() as tx:
            add_batch(tx, "before")
            root = add_batch(tx, "root")
            retry = add_batch(tx, "retry", retries_id=root)
            add_requests(tx, root, add_job(tx, root), range(6))
            job = add_job(tx, retry)
            add_requests(tx, retry, job, range(6), about=root)
            olds = ("error", {}), ("ok", {"parsed": "unparsed"}), ("ok", {}), ("ok", {}), ("refused", {}), ("error", {})
            request_rows.settle(tx, [answered(root, seq, word, **facts) for seq, (word, facts) in enumerate(olds)])
            news = (
                ("ok", {}),
                ("ok", {}),
                ("ok", {}),
                ("ok", {"parsed": "unparsed"}),
                ("error", {}),
                ("ok", {"parsed": "unparsed"}),
            )
            request_rows.settle(
                tx,
                [
                    answered(retry, seq, word, model="new", raw_file=1, **facts)
                    for seq, (word, facts) in enumerate(news)
                ],
            )
        return root, retry, job

    def test_an_answer_replaces_a_failure_and_a_parsed_one_whatever_stood_there(self, ledger, retried):
        root, retry, job = retried
        with ledger.write() as tx:
            assert request_rows.merge_retry(tx, retry, root) == 4
        read = streamed(ledger, root)
        assert [row.model for row in read] == ["new", "new", "new", "m", "m", "new"]
        assert [row.outcome for row in read] == ["ok", "ok", "ok", "ok", "refused", "ok"]
        assert [row.parsed for row in read] == ["strict", "strict", "strict", "strict", None, "unparsed"]
        assert {(row.raw_job_id, row.raw_file, row.raw_offset) for row in read if row.model == "new"} == {
            (job, 1, 100 * seq) for seq in (0, 1, 2, 5)
        }
        assert [row.custom_id for row in read] == [custom_id(seq) for seq in range(6)]

    def test_merging_again_changes_nothing(self, ledger, retried):
        root, retry, _ = retried
        with ledger.write() as tx:
            request_rows.merge_retry(tx, retry, root)
        once = streamed(ledger, root)
        with ledger.write() as tx:
            request_rows.merge_retry(tx, retry, root)
        assert streamed(ledger, root) == once

    def test_requests_of_another_batch_are_left_alone(self, ledger, retried):
        root, retry, _ = retried
        with ledger.write() as tx:
            assert request_rows.merge_retry(tx, retry, root - 1) == 0
        assert [row.model for row in streamed(ledger, root)] == ["m"] * 6
