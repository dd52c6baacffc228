"""Payloads in a store: two project folders as two hosts, one ledger, one rehearsed vendor."""

from __future__ import annotations

from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from helpers.commands import Project, dataset

from batchflow.steps.base import deletion

RULES = "rule:exact,rule:normalised,rule:numeric"
KEY = "store-key-of-nobody"
BUCKET = "team"


@pytest.fixture
def team(vendor, postgres, migrated_database, tmp_path):
    """Project A of the rehearsed vendor and an empty one, B: one PostgreSQL ledger, and a folder as their store."""
    store = tmp_path / "store"
    store.mkdir()
    vendor.project.environment |= {
        "BATCHFLOW_DATABASE_URL": postgres.url(postgres.create(migrated_database)),
        "BATCHFLOW_STORE": f"file://{store}",
    }
    return vendor, vendor.project, Project(tmp_path / "b" / "project", dict(vendor.project.environment)), store


def objects(store: Path) -> set[str]:
    """What lies in a store: names without ledger and hash."""
    return {"/".join(path.relative_to(store).parts[1:-1]) for path in store.rglob("*") if path.is_file()}


def hand_over(vendor, a: Project, b: Project) -> None:
    """A prepares and sends, B collects and judges, A scores."""
    vendor.started("b")
    (a.folder / "b-data.jsonl").rename(a.folder / "elsewhere.jsonl")  # as on a host that never had it
    b.run("get", "b", "--refresh-after", 0)
    assert b.ok("results", "b")["outcomes"] == {"ok": 4}
    assert b.rows("results/b.jsonl")[0]["question"]
    b.ok("jury", "b", "--judges", RULES, "--wait", "--refresh-after", 0)
    scored = a.ok("score", "b", "--field-name", "is_answer_correct", "--by", "category")
    assert (scored["score"], scored["n_items"], scored["votes_missing"]) == (1.0, 4, 0)
    before = vendor.calls("download")
    assert a.ok("results", "b")["outcomes"] == {"ok": 4}  # from B's raw file: the vendor is asked for none
    assert (vendor.calls("download"), len(vendor.site.creates)) == (before, 1)
    for host in (a, b):
        assert host.ok("ledger", "check")["problems"] == []


def test_hosts_hand_a_batch_over(team):
    vendor, a, b, store = team
    hand_over(vendor, a, b)
    assert {"processed_files/b.jsonl", "processed_files/b.output.raw", "results/b.jsonl"} <= objects(store)
    assert {"data/b-data.jsonl"} <= objects(store)
    assert any(name.startswith("processed_files/.locks/") for name in objects(store))
    a.ok("report", "b", "-o", "report.html")
    assert next(store.glob("*/reports/report.html")).read_bytes() == (a.folder / "report.html").read_bytes()
    b.ok("delete", "b")
    assert objects(store) == {"reports"}


def test_a_delete_that_is_cut_is_told_and_goes_on(team, monkeypatch):
    """The store goes away in the middle of it: nothing that is gone is damage, and the same command goes on."""
    vendor, a, b, store = team
    vendor.finished("b")
    vendor.finished("c")
    mark, away = deletion.mark, store.with_name("away")
    monkeypatch.setattr(deletion, "mark", lambda tx, ids: (mark(tx, ids), store.rename(away)))
    assert "there is no such folder" in a.refused(4, "delete", "b")
    away.rename(store)
    monkeypatch.undo()
    next(store.glob("*/processed_files/b.output.raw/*")).unlink()
    ran = a.run("ledger", "check", "--json")
    assert ran.json["problems"] == ["b: its delete was cut off, and some of its files may be gone: batchflow delete b"]
    b.ok("delete", "b")
    assert a.ok("ledger", "check")["problems"] == []
    assert not [name for name in objects(store) if name.startswith(("processed_files/b.", "results/b."))]
    assert a.ok("results", "c")["outcomes"] == {"ok": 4}


def test_a_batch_is_prepared_again_on_a_host_without_its_files(team):
    vendor, a, b, _ = team
    vendor.prepare("b")
    dataset(b.folder / "b-data.jsonl")
    given = ("prepare", "--provider", "openai", "--model", "gpt-6-luna", "--name", "b", "--dataset", "b-data.jsonl")
    report = b.ok(*given)
    assert (report["new"], report["notes"], report["next"]) == (False, [], "batchflow start b")
    assert report["bytes"] == a.ok(*given)["bytes"] > 0
    b.ok("start", "b")


def test_a_data_set_stays_while_another_batch_is_made_of_it(team):
    vendor, a, _, store = team
    vendor.prepare("b")
    a.ok("prepare", "--provider", "openai", "--model", "gpt-6-luna", "--name", "c", "--dataset", "b-data.jsonl")
    a.ok("delete", "b")
    assert "data/b-data.jsonl" in objects(store)
    a.ok("delete", "c")
    assert objects(store) == set()


def test_a_store_that_is_away_stops_a_command_before_anything_is_sent(team):
    vendor, a, b, store = team
    away = store.with_name("away")
    vendor.prepare("b")
    store.rename(away)
    assert "there is no such folder" in a.refused(4, "start", "b")
    assert vendor.site.creates == []
    away.rename(store)
    a.ok("start", "b")
    a.run("get", "b", "--refresh-after", 0)
    store.rename(away)
    a.refused(4, "results", "b")
    away.rename(store)
    assert b.ok("results", "b")["outcomes"] == {"ok": 4}
    assert len(vendor.site.creates) == 1


def test_check_names_lost_and_changed_objects_and_no_host_believes_them(team):
    vendor, a, b, store = team
    vendor.finished("b")
    raw = next(store.glob("*/processed_files/b.output.raw/*"))
    next(store.glob("*/processed_files/b.jsonl/*")).unlink()
    raw.write_bytes(raw.read_bytes().replace(b"r1", b"r9"))
    ran = b.run("ledger", "check", "--json")
    assert ran.code == 4
    assert [text.partition(" in the store")[0] for text in ran.json["problems"]] == [
        "processed_files/b.jsonl: absent", "processed_files/b.output.raw: changed",
    ]  # fmt: skip
    assert "does not hold the bytes" in b.refused(3, "results", "b")
    raw.unlink()
    a.ok("results", "b")  # brings both there
    assert b.ok("ledger", "check")["problems"] == []
    assert b.ok("results", "b")["outcomes"] == {"ok": 4}


def test_edited_and_cut_files_reach_the_other_host_as_they_are_sent(team):
    vendor, a, b, _ = team
    vendor.prepare("b")
    path = a.folder / "processed_files/b.jsonl"
    path.write_bytes(path.read_bytes().replace(b"What is 1", b"what is 1"))
    a.run("start", "b", "--accept-edit", "--canary", 1)
    a.run("get", "b", "--refresh-after", 0)
    b.ok("start", "b")
    b.run("get", "b", "--refresh-after", 0)
    assert b.ok("results", "b")["outcomes"] == {"ok": 4}
    assert b"what is 1" in path.with_name("b~canary.jsonl").read_bytes()
    assert b"What is 2" in (b.folder / "processed_files/b~rest.jsonl").read_bytes()
    assert len(vendor.site.creates) == 2


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("ftp://host/x", "no kind of store"),
        ("s3://key:word@bucket", "keys do not belong"),
        ("file://x/y", "not the URL"),
    ],
)
def test_a_url_that_is_no_store_is_refused(project, url, part):
    project.environment["BATCHFLOW_STORE"] = url
    said = project.refused(2, "prepare", "--provider", "openai", "--limit", 1)
    assert part in said
    assert "word" not in said


def test_an_s3_server_is_a_store(vendor, tmp_path):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    where = f"http://{host}:{port}"
    a = vendor.project
    a.environment |= {
        "BATCHFLOW_STORE": f"s3://{BUCKET}/evals",
        "BATCHFLOW_DATABASE_URL": f"sqlite:///{tmp_path}/one.db",
    }
    a.environment |= {"AWS_ENDPOINT_URL": where, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIANOBODY"}
    a.environment["AWS_SECRET_ACCESS_KEY"] = KEY
    b = Project(tmp_path / "b" / "project", dict(a.environment))
    try:
        path = dataset(a.folder / "c-data.jsonl")
        asked = ("prepare", "--provider", "openai", "--model", "gpt-6-luna", "--name", "c", "--dataset", path.name)
        assert "no such bucket" in a.refused(4, *asked)
        urlopen(Request(f"{where}/{BUCKET}", method="PUT")).close()
        hand_over(vendor, a, b)
        assert next(row for row in a.ok("doctor")["checks"] if row["name"] == "store")["finding"] == "ok"
        b.ok("delete", "b")
    finally:
        server.stop()
    said = a.refused(4, *asked)
    assert "writing" in said or "looking" in said
    assert KEY not in said
    assert all(KEY.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
