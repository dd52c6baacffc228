"""doctor looks at everything and changes nothing; init writes what is not there."""

from __future__ import annotations

import os

import pytest
from helpers.rehearsed import rehearsed

SECRET = "sk-this-is-secret-4711"


def found(report, name):
    return [(check["finding"], check["text"]) for check in report["checks"] if check["name"] == name]


def test_it_tells_versions_keys_by_name_and_options_and_makes_no_ledger(project):
    project.environment |= {
        "OPENAI_API_KEY": SECRET,
        "BATCHFLOW_MODEL": "m",
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
    }
    (project.folder / "batchflow.toml").write_text('[prepare]\nmodel = "n"\nhints = 1\n')
    ran = project.run("doctor", "--json")
    report = ran.json
    assert (ran.code, report["healthy"]) == (0, True)
    assert SECRET not in ran.out + ran.err + project.run("doctor").out
    assert found(report, "openai") == [("ok", "key in OPENAI_API_KEY")]
    assert found(report, "anthropic")[0][1].endswith("pointed at http://127.0.0.1:1")
    options = found(report, "options")[0][1]
    assert "model from BATCHFLOW_MODEL (over batchflow.toml)" in options
    assert "hints from batchflow.toml" in options
    assert "Python 3." in found(report, "batchflow")[0][1]
    assert "openai " in found(report, "packages")[0][1]
    assert found(report, "engines")[0][0] == "ok"
    assert not (project.folder / "batchflow.db").exists()


def test_it_says_what_is_wrong_and_what_to_do(project):
    project.run("ledger", "upgrade")
    (project.folder / "batchflow.toml").write_text("[prepare]\nmodle = 1\n")
    ran = project.run("doctor", "--json")
    assert (ran.code, ran.json["healthy"]) == (1, False)
    assert ("bad", "[prepare] modle: unknown") in found(ran.json, "options")
    assert [finding for finding, _ in found(ran.json, "ledger")] == ["ok", "ok"]
    (project.folder / "batchflow.db").write_bytes(b"SQLite format 3\0" + os.urandom(4096))
    assert found(project.run("doctor", "--json").json, "ledger")[0][0] == "bad"


@pytest.mark.parametrize("name", ["openai", "anthropic", "gemini", "mistral", "together", "groq"])
def test_a_ping_tells_a_good_key_from_a_bad_one(tmp_path, name):
    with rehearsed(tmp_path, name=name) as vendor:
        good = vendor.project.ok("doctor", "--ping")
        assert found(good, f"ping {name}") == [("ok", "reached; the key is accepted")]
        vendor.fault("status", call="poll", status=401)
        ran = vendor.project.run("doctor", "--ping", "--json")
        assert (ran.code, found(ran.json, f"ping {name}")[0][0]) == (1, "bad")
        assert vendor.calls("create") == 0


def test_init_writes_a_project_that_runs_and_never_touches_what_is_there(tmp_path):
    with rehearsed(tmp_path) as vendor:
        folder = vendor.project.folder
        mine = (folder / "batchflow.toml").read_text()
        made = vendor.project.ok("init")
        assert (made["written"], made["kept"]) == ([".env.example", "questions.csv", "eval.toml"], ["batchflow.toml"])
        assert (folder / "batchflow.toml").read_text() == mine
        assert vendor.project.ok("init")["written"] == []
        del vendor.project.environment["BATCHFLOW_TASK"]
        done = vendor.project.ok("run", "eval.toml", "--refresh-after", 0.1)
        assert (done["finished"], done["batches"][0]["answered"]) == (True, 8)
        (folder / "batchflow.toml").unlink()
        assert vendor.project.ok("init")["written"] == ["batchflow.toml"]
        assert vendor.project.ok("doctor")["healthy"]
