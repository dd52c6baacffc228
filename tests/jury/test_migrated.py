"""A judged project of an older version: its ledger is upgraded, and its scores stay the same to the last digit."""

from __future__ import annotations

import contextlib
import sqlite3

from helpers.jsonl import write

from batchflow.ledger.core import HEAD

OLD_TABLE = """
    CREATE TABLE old_votes (
        request_id INTEGER NOT NULL, subject_id BIGINT NOT NULL, status VARCHAR(16) NOT NULL,
        is_answer_correct BOOLEAN, is_justification_correct BOOLEAN,
        CONSTRAINT ck_votes_status CHECK
            (status = 'valid' OR status = 'missing' OR status = 'unparsed' OR status = 'abstained'),
        CONSTRAINT pk_votes PRIMARY KEY (request_id),
        CONSTRAINT fk_votes_request_id FOREIGN KEY(request_id) REFERENCES requests (id)
    );
    INSERT INTO old_votes
        SELECT a.request_id, a.subject_id, a.status, CAST(a.value AS INTEGER), CAST(j.value AS INTEGER)
        FROM votes a LEFT JOIN votes j ON j.request_id = a.request_id AND j.field = 'is_justification_correct'
        WHERE a.field = 'is_answer_correct';
    DROP TABLE votes;
    ALTER TABLE old_votes RENAME TO votes;
    CREATE INDEX ix_votes_subject_id ON votes (subject_id);
    ALTER TABLE requests DROP COLUMN written_tokens;
    ALTER TABLE requests DROP COLUMN written_1h_tokens;
    ALTER TABLE jobs DROP COLUMN usage;
    ALTER TABLE jobs DROP COLUMN cost;
    ALTER TABLE jobs DROP COLUMN reserved_usd;
    ALTER TABLE jobs DROP COLUMN enqueued_tokens;
    ALTER TABLE batches DROP COLUMN estimate;
    ALTER TABLE batches DROP COLUMN title;
    ALTER TABLE batches DROP COLUMN description;
    ALTER TABLE batches DROP COLUMN flagged;
    ALTER TABLE jobs DROP COLUMN counts;
    DROP TABLE runs;
    ALTER TABLE jobs DROP COLUMN counted_at;
    DROP TABLE sheets;
    DROP TABLE suites;
    CREATE TABLE old_labels (
        request_id INTEGER NOT NULL, human_answer_correct BOOLEAN, human_justification_correct BOOLEAN,
        human_both_correct BOOLEAN, source TEXT NOT NULL, made_at DATETIME NOT NULL,
        CONSTRAINT pk_labels PRIMARY KEY (request_id),
        CONSTRAINT fk_labels_request_id FOREIGN KEY(request_id) REFERENCES requests (id)
    );
    INSERT INTO old_labels
        SELECT l.request_id,
            MAX(CASE WHEN l.field = 'answer_correct' THEN CAST(l.value AS INTEGER) END),
            MAX(CASE WHEN l.field = 'justification_correct' THEN CAST(l.value AS INTEGER) END),
            MAX(CASE WHEN l.field = 'both_correct' THEN CAST(l.value AS INTEGER) END), MIN(l.source), MIN(l.made_at)
        FROM labels l GROUP BY l.request_id;
    DROP TABLE labels;
    ALTER TABLE old_labels RENAME TO labels;
    UPDATE alembic_version SET version_num = '0005';
"""


def made_older(project):
    """Give a project's ledger the form that it had before votes and labels were values."""
    with contextlib.closing(sqlite3.connect(project.folder / "batchflow.db")) as connection, connection:
        connection.executescript(OLD_TABLE)


def votes(project):
    with contextlib.closing(sqlite3.connect(project.folder / "batchflow.db")) as connection:
        return connection.execute("SELECT * FROM votes ORDER BY request_id, field").fetchall()


def scored(project, words):
    """A score without its cost, which `results` works out anew for a batch of an older ledger, and what rests on it."""
    made, without = project.ok(*words), {"cost": None, "levers": None}
    return made | without | {"batches": [row | without for row in made["batches"]]}


def test_scores_of_an_older_ledger_stay_what_they_were(judged):
    judged.ok("jury", "p", "--judges", "rule:exact,rule:numeric", "--wait", "--refresh-after", 0)
    commands = [("score", "p", "--by", "category"), ("score", "p", "--field-name", "is_answer_correct")]
    commands.append(("score", "p", "--field-name", "is_justification_correct", "--method", "majority"))
    said = [
        {"custom_id": row["custom_id"], "human_answer_correct": n % 4 > 0, "human_justification_correct": n % 3 > 0}
        for n, row in enumerate(judged.rows("results/p.jsonl"))
    ]
    judged.ok("import", "labels", write(judged.folder / "l.jsonl", said), "--batch", "p")
    commands += [
        ("score", "p", "--method", "ppi", "--field-name", field) for field in ("is_answer_correct", "both_correct")
    ]
    before, rows = [scored(judged, words) for words in commands], votes(judged)
    made_older(judged)
    assert judged.ok("ledger", "upgrade")["revision"] == HEAD
    assert [scored(judged, words) for words in commands] == before
    assert votes(judged) == rows
    assert judged.ok("ledger", "check")["problems"] == []
