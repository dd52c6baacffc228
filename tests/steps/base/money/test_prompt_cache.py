"""The beginning that all requests share: asked for where it pays, filled by one request first, billed as used."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from helpers.commands import dataset, riddle
from helpers.rehearsed import rehearsed

from batchflow.ledger import batches, jobs
from batchflow.steps.building.writing.taken import digest

LONG = "You solve riddles. " + "Remember that words may mislead, and that a trap is often in one of them. " * 320
MARK = {"type": "ephemeral", "ttl": "1h"}
FLAGS = ("--provider", "anthropic", "--model", "claude-sonnet-4-5")
QUESTIONS = [{"id": f"q{n}", "question": f"What is {n} and one?", "reference": str(n + 1)} for n in range(1, 13)]


@pytest.fixture
def up(tmp_path):
    with rehearsed(tmp_path, name="anthropic") as running:
        running.project.environment["BATCHFLOW_TASK"] = "qa"
        yield running


def template(folder, text=LONG):
    path = folder / f"{len(text)}.txt"
    path.write_text(f"{text}\n\n=== user turn ===\nContext: {{context}}\nQuestion: {{question}}\n")
    return path.name


def made(up, *flags, rows=QUESTIONS, name="b"):
    dataset(up.project.folder / "d.jsonl", rows)
    told = up.project.ok("prepare", *FLAGS, "--name", name, "--dataset", "d.jsonl", *flags)
    return told, [row for path in told["files"] for row in up.project.rows(path)]


def marks(row):
    params = row["params"]
    system = params.get("system", "")
    blocks = [*(system if isinstance(system, list) else []), *params["messages"][0]["content"]]
    return [place for place, block in enumerate(blocks) if block.get("cache_control") == MARK]


def spec_of(up, name="b"):
    with up.project.ledger() as ledger, ledger.read() as tx:
        return batches.get(tx, name).spec


def test_the_shared_beginning_is_marked_where_it_is_long_and_read_often(up):
    long = template(up.project.folder)
    told, rows = made(up, "--template", long)
    assert [marks(row) for row in rows] == [[0]] * 12
    assert rows[0]["params"]["system"][0]["text"].strip() == LONG.strip()
    assert told["estimate"]["cache_tokens"] > 4_096
    assert spec_of(up)["cache"] == {"ttl": "1h", "parts": 0, "bytes": len(LONG.strip()), "pictures": 0}
    assert "lost where none does" in up.project.run("estimate", "b", "--no-jury").out
    assert "a cache may save about $" in up.project.run("show", "b").out
    for name, flags, rows in (
        ("short", ("--template", template(up.project.folder, "Answer.")), QUESTIONS),
        ("few", ("--template", template(up.project.folder)), QUESTIONS[:9]),
        ("off", ("--template", template(up.project.folder), "--cache", "off"), QUESTIONS),
    ):
        told, lines = made(up, *flags, rows=rows, name=name)
        assert all(isinstance(row["params"]["system"], str) and marks(row) == [] for row in lines), name
        assert told["estimate"]["cache_tokens"] == 0
    assert spec_of(up, "off")["cache"] == "off"


def test_what_all_rows_begin_with_is_marked_behind_the_system_text(up):
    context = "A long tale. " * 2_000
    rows = [row | {"context": context} for row in QUESTIONS]
    _, lines = made(up, "--template", template(up.project.folder, "Answer."), rows=rows)
    assert [marks(row) for row in lines] == [[0]] * 12
    assert lines[0]["params"]["system"] == "Answer."
    rows[11] = QUESTIONS[11] | {"context": "Another one."}
    _, lines = made(up, "--template", template(up.project.folder, "Answer."), rows=rows, name="c")
    assert [marks(row) for row in lines] == [[]] * 12


def test_one_request_fills_the_cache_and_the_others_read_it(up):
    made(up, "--template", template(up.project.folder))
    started = up.project.ok("start", "b")
    assert (started["sent_now"], started["waits_for"]) == (1, "the request that fills the cache")
    assert [job["requests"] for job in started["jobs"]] == [1, 11]
    assert up.project.run("get", "b", "--wait", "--refresh-after", 0).code == 0
    told = up.project.ok("results", "b")
    bill = up.site.bill()
    assert [row["written_1h_tokens"] > 0 for row in bill] == [True, *[False] * 11]
    assert [row["cached_tokens"] > 0 for row in bill] == [False, *[True] * 11]
    saved = told["cost"]["saved_usd"]
    assert saved > 0
    assert told["cost"]["estimate_saved_usd"] == pytest.approx(saved, rel=0.35)
    assert "the cache saved $" in up.project.run("show", "b").out
    assert "saved $" in up.project.run("list").out
    page = up.project.folder / "b.html"
    up.project.ok("report", "b", "--output", page)
    assert "(the cache saved $" in page.read_text()


def test_a_row_that_failed_in_the_cache_does_not_hold_up_the_rest(up):
    up.fault("errors", call="job", times=1, fraction=1.0)
    made(up, "--template", template(up.project.folder))
    up.project.ok("start", "b")
    assert up.project.run("get", "b", "--wait", "--refresh-after", 0).code == 0
    assert [len(made.custom_ids) for made in up.site.creates] == [1, 1, 10]  # the next one fills it
    assert sum(row["written_tokens"] > 0 for row in up.site.bill()) == 1


def test_a_cache_that_has_run_out_is_filled_again(up):
    made(up, "--template", template(up.project.folder))
    up.project.ok("start", "b")
    up.project.run("get", "b", "--refresh-after", 0)
    with up.project.ledger() as ledger, ledger.write() as tx:
        (filled, _) = jobs.of_batch(tx, batches.get(tx, "b").id)
        jobs.note(tx, filled.id, accepted_at=datetime.now(UTC) - timedelta(hours=1))
    ran = up.project.run("start", "b")
    assert "the vendor's cache has run out" in ran.err
    assert [len(one.custom_ids) for one in up.site.creates] == [1, 1]
    assert up.project.run("get", "b", "--wait", "--refresh-after", 0).code == 0
    assert [len(one.custom_ids) for one in up.site.creates] == [1, 1, 10]
    assert up.project.ok("results", "b")["requests"] == 12


def test_a_batch_that_stands_keeps_its_bytes(up):
    long = template(up.project.folder)
    _, before = made(up, "--template", long, "--cache", "off")
    told, after = made(up, "--template", long)
    assert (told["new"], after) == (False, before)
    made(up, "--template", long, name="marked")
    refused = up.project.refused(
        2, "prepare", *FLAGS, "--name", "marked", "--dataset", "d.jsonl", "--template", long, "--cache", "off"
    )
    assert "cache" in refused


def test_a_batch_of_an_older_version_has_no_such_key_and_stands(up):
    long = template(up.project.folder)
    _, before = made(up, "--template", long, "--cache", "off")
    with up.project.ledger() as ledger, ledger.write() as tx:
        batch = batches.get(tx, "b")
        spec = {key: value for key, value in batch.spec.items() if key != "cache"}
        batches.note(tx, batch.id, spec=spec, spec_sha256=digest(spec))
    for flags in ((), ("--cache", "auto"), ("--cache", "off")):
        told, after = made(up, "--template", long, *flags)
        assert (told["new"], after) == (False, before)


def test_judges_read_their_rubric_from_the_cache_and_it_stands_first(up):
    rubric = "\n".join(
        f'[[criteria]]\nname = "c{n}"\ndescription = "{"The answer is clear and short. " * 60}"' for n in range(10)
    )
    (up.project.folder / "rubric.toml").write_text(rubric)
    made(up, "--template", template(up.project.folder, "Answer."))
    up.project.ok("start", "b")
    up.project.run("get", "b", "--refresh-after", 0)
    up.project.ok("results", "b")
    told = up.project.ok("jury", "b", "--judges", "anthropic:claude-sonnet-4-5", "--kind", "rubric.toml")
    judge = told["batches"][0]
    lines = up.project.rows(judge["files"][0])
    texts = [part["text"] for part in lines[0]["params"]["messages"][0]["content"]]
    assert texts[0].startswith("Criteria, one a line:")
    assert [marks(row) for row in lines] == [[0]] * 12
    assert judge["estimate"]["cache_tokens"] > 1_024
    up.project.ok("start", judge["name"])
    assert up.project.run("get", judge["name"], "--wait", "--refresh-after", 0).code == 0
    assert up.project.ok("results", judge["name"])["cost"]["saved_usd"] > 0


def test_a_vendor_that_caches_by_itself_is_not_asked_and_says_so(tmp_path):
    with rehearsed(tmp_path) as running:
        dataset(running.project.folder / "d.jsonl", [riddle(n) for n in range(1, 13)])
        told = running.project.ok(
            "prepare", "--provider", "openai", "--model", "gpt-6-luna", "--dataset", "d.jsonl", "--name", "b",
            "--cache", "off",
        )  # fmt: skip
        assert any("caches by itself" in note for note in told["notes"])
        assert "cache" not in json.dumps(running.project.rows(told["files"][0]))
