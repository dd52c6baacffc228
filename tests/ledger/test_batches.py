from __future__ import annotations

import pytest
import sqlalchemy as sa
from helpers.rows import NOW, add_batch

from batchflow.errors import UnknownBatch
from batchflow.ledger import Ledger, batches
from batchflow.ledger.models import BATCHES, SCORES
from batchflow.records import Kind


def test_a_batch_is_found_by_its_name_with_all_it_was_made_of(ledger):
    with ledger.write() as tx:
        batch_id = add_batch(tx, "one", params={"seed": 3}, notes=["a", "ü"], hint_counts=[2, 0])
        found = batches.get(tx, "one")
    assert (found.id, found.kind, found.params, found.notes) == (batch_id, Kind.PREDICTION, {"seed": 3}, ["a", "ü"])
    assert (found.hint_counts, found.created_at, found.rehearsal) == ([2, 0], NOW, False)


def test_an_unknown_name_names_those_that_are_close(ledger):
    with ledger.write() as tx:
        add_batch(tx, "openai_gpt_llm_hints_0")
    with pytest.raises(UnknownBatch) as caught, ledger.read() as tx:
        batches.get(tx, "openai_gpt_llm_hints_1")
    assert caught.value.hint == "did you mean openai_gpt_llm_hints_0?"
    with pytest.raises(UnknownBatch) as caught, ledger.read() as tx:
        batches.get(tx, "zzz")
    assert caught.value.hint == "batchflow list shows the names"


def test_a_deleted_batch_is_told(ledger):
    with pytest.raises(UnknownBatch, match="deleted"), ledger.read() as tx:
        batches.by_id(tx, 4711)


def test_a_name_is_taken_once(ledger):
    with ledger.write() as tx:
        add_batch(tx, "one")
    with pytest.raises(sa.exc.IntegrityError), ledger.write() as tx:
        add_batch(tx, "one")


def test_family_ties(ledger):
    with ledger.write() as tx:
        parent = add_batch(tx, "parent")
        judges = [add_batch(tx, f"judge {n}", kind="judge", parent_id=parent) for n in range(3)]
        retry = add_batch(tx, "retry", retries_id=parent)
        assert [batch.id for batch in batches.judges_of(tx, parent)] == judges
        assert [batch.id for batch in batches.retries_of(tx, parent)] == [retry]
        assert [batch.id for batch in batches.listing(tx)] == [parent, *judges, retry]


def test_a_kind_that_does_not_exist_is_refused_by_the_database(ledger):
    with ledger.write() as tx:
        add_batch(tx)
    with pytest.raises(sa.exc.IntegrityError), ledger.write() as tx:
        tx.execute(sa.update(BATCHES).values(kind="hunch"))


def test_a_ledger_keeps_its_id_and_shares_it_with_no_other(url, ledger, tmp_path):
    again, other = Ledger.open(url), Ledger.open(f"sqlite:///{tmp_path / 'other.db'}")
    ids = []
    for one in (ledger, again, other):
        with one.read() as tx:
            ids.append(batches.ledger_id(tx))
        one.close()
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]
    assert len(ids[0]) == 32


def test_scores_are_kept_with_how_they_were_made(ledger):
    with ledger.write() as tx:
        batch_id = add_batch(tx)
        summary = {"score": 0.25, "interval": {"low": 0.1, "high": None}}
        batches.record_score(tx, batch_id, field="both_correct", method="mean", now=NOW, summary=summary)
        row = tx.execute(sa.select(SCORES)).one()
    assert (row.batch_id, row.field, row.method, row.made_at, row.summary) == (
        batch_id, "both_correct", "mean", NOW, summary,
    )  # fmt: skip
