from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from helpers.rows import add_batch, add_job, add_requests, request_id

from batchflow.ledger import batches, core, dialect, jobs, labels, request_rows, transactions
from batchflow.ledger.models import METADATA, REQUESTS
from batchflow.records import Kind, Outcome, Parsed, VoteStatus
from batchflow.states import Event, State

CHECKS = {
    ("batches", "ck_batches_kind"): Kind,
    ("jobs", "ck_jobs_state"): State,
    ("events", "ck_events_event"): Event,
    ("events", "ck_events_state"): State,
    ("requests", "ck_requests_outcome"): Outcome,
    ("requests", "ck_requests_parsed"): Parsed,
    ("votes", "ck_votes_status"): VoteStatus,
}


@pytest.fixture
def engine(url):
    made = sa.create_engine(url)
    yield made
    made.dispose()


def schema(engine):
    """Everything that a database's catalogue says of a schema, in an order of its own."""
    seen = sa.inspect(engine)

    def sort(rows):
        return sorted((dict(row) for row in rows), key=repr)

    return {
        table: {
            "columns": [{k: str(v) for k, v in column.items()} for column in seen.get_columns(table)],
            "key": seen.get_pk_constraint(table),
            "foreign": sort(seen.get_foreign_keys(table)),
            "unique": sort(seen.get_unique_constraints(table)),
            "checks": sort(seen.get_check_constraints(table)),
            "indexes": sort(seen.get_indexes(table)),
        }
        for table in seen.get_table_names()
        if table != "alembic_version"
    }


def test_migrations_make_the_tables_that_the_program_declares(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_migrated_schema_is_the_declared_schema(engine, blank, tmp_path, database):
    declared = sa.create_engine(f"sqlite:///{tmp_path / 'declared.db'}" if database == "sqlite" else blank)
    METADATA.create_all(declared)
    try:
        assert schema(engine) == schema(declared)
    finally:
        declared.dispose()


def test_migrated_checks_are_the_enums(engine):
    """Alembic does not see a CHECK that was widened, so the catalogue is read."""
    seen = sa.inspect(engine)
    found = {
        (table, check["name"]): set(re.findall(r"'(\w+)'", check["sqltext"]))
        for table in seen.get_table_names()
        for check in seen.get_check_constraints(table)
    }
    assert found == {where: {member.value for member in kind} for where, kind in CHECKS.items()}


def test_the_program_knows_its_newest_migration():
    config = Config()
    config.set_main_option("script_location", str(core.migrations_folder()))
    assert ScriptDirectory.from_config(config).get_current_head() == core.HEAD


def test_revisions_sort_as_they_follow():
    """A newer ledger is told by comparing texts, so revisions are numbers of one width."""
    config = Config()
    config.set_main_option("script_location", str(core.migrations_folder()))
    revisions = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    assert revisions == sorted(revisions)
    assert all(re.fullmatch(r"\d{4}", revision) for revision in revisions)


def test_a_migration_that_is_cut_leaves_nothing(blank, monkeypatch):
    """DDL is transactional on both databases."""

    def cut(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.bulk_insert", cut)
        with pytest.raises(KeyboardInterrupt):
            core.Ledger.open(blank)
    engine = sa.create_engine(blank)
    dialect.prepare(engine)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()
    ledger = core.Ledger.open(blank)
    assert ledger.check().problems == ()
    ledger.close()


# those that were not made, or made anew, later
KEPT = [
    table
    for table in METADATA.sorted_tables
    if table.name not in {"meta", "votes", "labels", "runs", "sheets", "suites"}
]


def at_revision(url, revision):
    """A database as an older program left it."""
    engine = sa.create_engine(url)
    dialect.prepare(engine)
    config = Config()
    config.set_main_option("script_location", str(core.migrations_folder()))
    with transactions.writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return engine


def old_columns(tx):
    """The tables as an older program left them: later columns are unknown to it."""
    there = sa.MetaData()
    there.reflect(tx, only=[table.name for table in KEPT])
    return [sa.select(*(table.c[column.name] for column in there.tables[table.name].columns)) for table in KEPT]


def test_an_older_ledger_keeps_its_rows_and_never_gives_an_id_again(blank):
    engine = at_revision(blank, "0004")
    with transactions.writing(engine) as tx:
        root = add_batch(tx, "root")
        retry = add_batch(tx, "retry", retries_id=root)
        own, gone = add_job(tx, root), add_job(tx, retry, n_requests=1)
        add_requests(tx, root, own, range(2))
        add_requests(tx, retry, gone, range(1), about=root)
        jobs.note(tx, own, n_requests=2)
        tx.execute(sa.update(REQUESTS).where(REQUESTS.c.job_id == own).values(raw_job_id=gone))
        batches.delete(tx, [retry])  # as programs did before 0005
        queries = old_columns(tx)
        before = [tx.execute(query).fetchall() for query in queries]
    engine.dispose()
    ledger = core.Ledger.open(blank)
    with ledger.write() as tx:
        after = [tx.execute(query).fetchall() for query in queries]
        assert after == before
        assert add_job(tx, root, part=1) > gone
        newer = add_batch(tx, "newer")
        batches.delete(tx, [newer])
        assert add_batch(tx, "newest") > newer
    ledger.close()


OLD_VOTES = "INSERT INTO votes (request_id, subject_id, status, is_answer_correct, is_justification_correct) VALUES "


def test_votes_of_an_older_ledger_become_values(blank):
    engine = at_revision(blank, "0005")
    with transactions.writing(engine) as tx:
        root = add_batch(tx, "root")
        add_requests(tx, root, add_job(tx, root, n_requests=4), range(4))
        judges = {}
        for name, provider in (("model", "openai"), ("rule", "rule")):
            judges[name] = judge = add_batch(tx, name, kind="judge", parent_id=root, provider=provider)
            add_requests(tx, judge, add_job(tx, judge, n_requests=4), range(4))
        said = {
            "model": [
                "'valid', true, false",
                "'missing', NULL, NULL",
                "'unparsed', NULL, NULL",
                "'valid', false, true",
            ],
            "rule": ["'valid', true, NULL", "'abstained', NULL, NULL", "'missing', NULL, NULL", "'valid', false, NULL"],
        }
        for name, votes in said.items():
            for seq, vote in enumerate(votes):
                ids = f"{request_id(judges[name], seq)}, {request_id(root, seq)}"
                tx.exec_driver_sql(f"{OLD_VOTES} ({ids}, {vote})")
    engine.dispose()
    ledger = core.Ledger.open(blank)
    answer, justification = "is_answer_correct", "is_justification_correct"
    with ledger.read() as tx:
        found = {name: [vote[1:] for vote in request_rows.votes(tx, judges[name])] for name in said}
    ledger.close()
    assert found["model"] == [
        (answer, "valid", 1.0), (justification, "valid", 0.0),
        (answer, "missing", None), (justification, "missing", None),
        (answer, "unparsed", None), (justification, "unparsed", None),
        (answer, "valid", 0.0), (justification, "valid", 1.0),
    ]  # fmt: skip
    assert found["rule"] == [
        (answer, "valid", 1.0), (answer, "abstained", None), (answer, "missing", None), (answer, "valid", 0.0),
    ]  # fmt: skip


OLD_LABELS = "human_answer_correct, human_justification_correct, human_both_correct, source, made_at"


def test_labels_of_an_older_ledger_become_values(blank):
    engine = at_revision(blank, "0008")
    with transactions.writing(engine) as tx:
        root = add_batch(tx, "root")
        add_requests(tx, root, add_job(tx, root, n_requests=4), range(4))
        for seq, said in enumerate(("true, false, NULL", "NULL, NULL, true", "NULL, NULL, NULL", "false, true, false")):
            values = f"{request_id(root, seq)}, {said}, 'a.jsonl', '2026-11-20 12:00:00'"
            tx.exec_driver_sql(f"INSERT INTO labels (request_id, {OLD_LABELS}) VALUES ({values})")
    engine.dispose()
    ledger = core.Ledger.open(blank)
    with ledger.read() as tx:
        found = [(label.request_id - request_id(root, 0), *label[1:]) for label in labels.of_batch(tx, root)]
        assert labels.batches_with_labels(tx) == (root,)
    assert not [problem for problem in ledger.check().problems if "labels" in problem]
    ledger.close()
    rest = (None, "a.jsonl", None)
    assert found == [
        (0, "answer_correct", 1.0, *rest), (0, "justification_correct", 0.0, *rest),
        (1, "both_correct", 1.0, *rest),
        (3, "answer_correct", 0.0, *rest), (3, "both_correct", 0.0, *rest), (3, "justification_correct", 1.0, *rest),
    ]  # fmt: skip
