"""How failures look from outside: a text, what to do, an exit code, and never a key, a traceback or a control code."""

from __future__ import annotations

import json
import logging
import os
import re
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import sqlalchemy as sa
from helpers.commands import Project, dataset, riddle
from helpers.terminals import hear_ctrl_c

from batchflow.ledger import Ledger
from batchflow.ledger.core import HEAD
from batchflow.vendors import openai

KEY = "sk-fake-0123456789abcdefghij"
ESC = "\x1b[2J\x1b]0;owned\x07\u202egnp.exe\u200b"


def batchflow(folder, *words, **environment):
    """The installed command, as a process of its own."""
    return subprocess.run(
        [Path(sys.executable).with_name("batchflow"), *words],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


class TestTheProcess:
    def test_carries_the_exit_code_and_the_text(self, tmp_path):
        done = batchflow(tmp_path, "get", "nobody")
        assert (done.returncode, done.stdout) == (4, "")
        wrong_folder = "this ledger has no batches: is it the right folder? --project names another one"
        assert done.stderr == f"batchflow: no batch is named 'nobody'\n  what to do: {wrong_folder}\n"

    def test_the_first_batch_in_a_folder_creates_the_ledger(self, tmp_path):
        assert batchflow(tmp_path, "prepare", "--provider", "local", "--limit", "1").returncode == 0
        ledger = Ledger.open(f"sqlite:///{tmp_path / 'batchflow.db'}", migrate=False)
        assert ledger.check().problems == ()
        ledger.close()

    def test_what_the_system_refuses_is_told_with_a_way_out(self, tmp_path):
        assert batchflow(tmp_path, "ledger", "upgrade").returncode == 0
        command = f"ulimit -f 150; '{Path(sys.executable).with_name('batchflow')}' prepare --provider local"
        done = subprocess.run(["/bin/bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("batchflow: File too large\n  what to do: this shell limits the size of files")
        assert list((tmp_path / "processed_files").iterdir()) == []

    def test_a_file_in_the_place_of_a_folder_is_told(self, project):
        dataset(project.folder / "d.jsonl")
        (project.folder / "processed_files").write_text("")
        said = project.refused(1, "prepare", "--provider", "local", "--dataset", "d.jsonl")
        assert "processed_files\n  what to do: something else is in the place of a folder" in said

    def test_a_wrong_flag_is_exit_2(self, tmp_path):
        done = batchflow(tmp_path, "prepare", "--hints", "many")
        assert done.returncode == 2
        assert "'many' is not a valid integer" in done.stderr

    def test_a_reader_that_leaves_is_no_error(self, tmp_path):
        command = f"'{Path(sys.executable).with_name('batchflow')}' list --json | true"
        done = subprocess.run(
            ["/bin/bash", "-o", "pipefail", "-c", command], cwd=tmp_path, capture_output=True, check=False
        )
        assert done.stderr == b""


def in_a_shell(folder, command, **environment):
    """`batchflow COMMAND` in a shell, whose redirections decide what the process finds open."""
    return subprocess.run(
        ["/bin/bash", "-c", f"'{Path(sys.executable).with_name('batchflow')}' {command}"],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


class TestOddSurroundings:
    @pytest.mark.parametrize("command", ["list >&-", "list --json >&-", "list 2>&-", "list <&-"])
    def test_a_stream_that_is_closed_stops_nothing(self, tmp_path, command):
        done = in_a_shell(tmp_path, command)
        assert (done.returncode, done.stderr) == (0, b"")

    @pytest.mark.parametrize(
        ("command", "code", "told"),
        [
            ("list >/dev/full", 1, "No space left on device"),
            ("list --json >/dev/full", 1, "No space left on device"),
            ("get nobody --json >/dev/full", 4, "no batch is named"),
            ("get nobody --json >&-", 4, "no batch is named"),
        ],
    )
    def test_an_error_is_told_on_stderr_where_stdout_fails(self, tmp_path, command, code, told):
        done = in_a_shell(tmp_path, command)
        assert done.returncode == code
        assert done.stderr.decode().startswith(f"batchflow: {told}")
        assert b"Traceback" not in done.stderr

    def test_an_output_that_cannot_show_a_character_shows_another(self, tmp_path):
        done = in_a_shell(tmp_path, "prepare --provider local --limit 1 --model Zürich.gguf", PYTHONIOENCODING="ascii")
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"Model:          Z?rich.gguf\n" in done.stdout
        done = in_a_shell(tmp_path, "get ünï --json", PYTHONIOENCODING="ascii")
        assert json.loads(done.stdout)["error"]["message"] == "no batch is named 'ünï'"  # JSON is UTF-8 everywhere

    def test_words_that_are_no_text_are_refused(self, tmp_path):
        done = in_a_shell(tmp_path, r"get $'\xff\xfe'")
        assert done.returncode == 2
        assert b"??: not text in this locale" in done.stderr

    def test_a_folder_that_was_deleted_is_told(self, tmp_path):
        command = f"mkdir gone; cd gone; rmdir ../gone; '{Path(sys.executable).with_name('batchflow')}' list"
        done = subprocess.run(["/bin/bash", "-c", command], cwd=tmp_path, capture_output=True, timeout=60, check=False)
        assert done.returncode == 2
        assert b"this folder has been deleted" in done.stderr

    @pytest.mark.parametrize("name", ["a?b#c", "50%25 off", "Ünï 'quoted'"])
    def test_the_ledger_lies_in_its_folder_whatever_that_is_called(self, tmp_path, name):
        folder = tmp_path / name
        folder.mkdir()
        assert batchflow(folder, "ledger", "upgrade").returncode == 0
        assert sorted(path.name for path in folder.iterdir()) == ["batchflow.db", "batchflow.db.lock"]
        assert [path.name for path in tmp_path.iterdir()] == [name]

    def test_a_user_without_a_home_works_in_the_project(self, tmp_path, monkeypatch):
        """As in a container that runs under a number of its own: the system knows no such user."""
        monkeypatch.delenv("HOME")
        monkeypatch.delenv("BATCHFLOW_HOME")
        code = "import pwd; pwd.getpwuid = {}.__getitem__; from batchflow.__main__ import main; main()"
        for words, code_of in ((["list"], 0), (["get", "nobody"], 4), (["engine", "list"], 0)):
            done = subprocess.run(
                [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert (done.returncode, "Traceback" in done.stderr) == (code_of, False), done.stderr
        done = subprocess.run(
            [sys.executable, "-c", code, "list"], cwd=tmp_path, env={**os.environ, "BATCHFLOW_HOME": "~/x"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stderr.startswith("batchflow: BATCHFLOW_HOME=~/x: ~ cannot be expanded here")

    @pytest.mark.parametrize(
        ("fault", "code", "told"),
        [
            ("import os, signal; os.kill(os.getpid(), signal.SIGINT)", 130, "batchflow: interrupted"),
            ("raise OSError(24, 'Too many open files')", 1, "batchflow: it cannot be loaded: [Errno 24]"),
        ],
    )
    def test_what_meets_the_imports_is_told_in_two_lines(self, tmp_path, fault, code, told):
        (tmp_path / "click.py").write_text(fault)
        done = subprocess.run(
            [sys.executable, "-m", "batchflow", "list"], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
            preexec_fn=hear_ctrl_c,
        )  # fmt: skip
        assert done.returncode == code
        assert done.stderr.startswith(told)
        assert done.stderr.count("\n") == 2


class TestCtrlC:
    def test_says_that_nothing_is_lost_and_what_to_type(self, project, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("batchflow.steps.viewing.batch_list.listing", interrupted)
        ran = project.run("list", "--sort", "name")
        assert (ran.code, ran.out) == (130, "")
        assert ran.err.strip() == (
            "batchflow: interrupted; nothing is lost, and nothing will be sent twice\n"
            "  what to do: to go on, type again: batchflow list --sort name"
        )
        assert project.run("list", "--json").json["error"]["exit_code"] == 130


class TestTheCommandLine:
    @pytest.mark.parametrize(
        ("typed", "meant"), [("lst", "list"), ("satrt", "start"), ("result", "results"), ("status", "get")]
    )
    def test_names_the_command_that_a_mistyped_one_may_mean(self, project, typed, meant):
        said = project.refused(2, typed)
        assert f"No such command '{typed}'. Did you mean {meant}?" in said

    def test_takes_the_project_behind_the_command_too(self, project, tmp_path, monkeypatch):
        dataset(project.folder / "d.jsonl")
        project.ok("prepare", "--dataset", "d.jsonl", "--name", "b")
        elsewhere = Project(tmp_path / "elsewhere")
        assert [row["name"] for row in elsewhere.ok("list", "--project", project.folder)["batches"]] == ["b"]
        assert elsewhere.ok("ledger", "check", "--project", project.folder)["problems"] == []
        assert "does not exist" in elsewhere.refused(2, "list", "--project", "nowhere")
        assert elsewhere.files() == set()

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (("list",), 0), (("get", "b"), 4), (("show", "b"), 4), (("score", "b"), 4), (("score",), 7),
            (("compare", "b", "c"), 4), (("results", "b"), 4), (("cancel", "b"), 4), (("delete", "b"), 4),
            (("retry", "b"), 4), (("start", "b"), 4), (("ledger", "check"), 4), (("ledger", "backup", "x"), 4),
        ],
    )  # fmt: skip
    def test_creates_nothing_where_it_only_looks(self, project, words, code):
        ran = project.run(*words)
        assert ran.code == code, ran
        assert sorted(path.name for path in project.folder.iterdir()) == ["batchflow.toml"]


class TestTheLedger:
    def test_without_its_revision_is_told_as_damaged(self, project):
        project.ok("ledger", "upgrade")
        for statement in ("UPDATE alembic_version SET version_num = ''", "DELETE FROM alembic_version"):
            with project.ledger() as ledger, ledger.write() as tx:
                tx.execute(sa.text("DELETE FROM alembic_version"))
                tx.execute(sa.text(f"INSERT INTO alembic_version VALUES ('{HEAD}')"))
                tx.execute(sa.text(statement))
            for words in (("list",), ("ledger", "upgrade"), ("ledger", "check")):
                assert "is damaged: its table alembic_version holds no revision" in project.refused(4, *words)
            with sqlite3.connect(project.folder / "batchflow.db") as connection:
                connection.execute("DELETE FROM alembic_version")
                connection.execute(f"INSERT INTO alembic_version VALUES ('{HEAD}')")
            connection.close()

    @pytest.mark.parametrize(
        "url",
        [
            "postgresql+psycopg://me@127.0.0.1:9/db?password=hunter22&sslpassword=hunter22&passfile=/hunter22",
            "postgresql+psycopg://me@127.0.0.1:9/db?pasword=hunter22",
            "postgresql+psycopg://me:hunter/22hunter@127.0.0.1:9/db",
            "postgresql+psycopg://me:x@hunter22@127.0.0.1:9/db",
            "mysql://me@127.0.0.1/db?password=hunter22",
            "host=127.0.0.1 password=hunter22",
        ],
    )
    def test_s_url_shows_no_password_wherever_it_holds_one(self, project, url):
        project.environment["BATCHFLOW_DATABASE_URL"] = url
        for words in (("list",), ("ledger", "check"), ("ledger", "check", "--json"), ("ledger", "backup", "x")):
            ran = project.run(*words)
            assert ran.code == 4, ran
            assert "hunter" not in ran.out + ran.err
            assert "unexpected" not in ran.err

    def test_a_newer_one_is_exit_4_with_a_plain_text(self, project):
        project.ok("ledger", "upgrade")
        with project.ledger() as ledger, ledger.write() as tx:
            tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        for words in (("list",), ("get", "b"), ("ledger", "upgrade")):
            said = project.refused(4, *words)
            assert "was made by a newer batchflow (revision 9999" in said
            assert "what to do: upgrade batchflow" in said
        ran = project.run("ledger", "check")
        assert ran.code == 4
        assert "the schema is at 9999" in ran.out

    def test_a_damaged_one_is_exit_4_with_a_plain_text(self, project):
        project.ok("ledger", "upgrade")
        path = project.folder / "batchflow.db"
        path.write_bytes(path.read_bytes()[:5000])
        assert "damaged" in project.refused(4, "list")

    def test_one_that_cannot_be_opened_names_what_could(self, project):
        (project.folder / "batchflow.db").mkdir()
        assert "do you have write permission for it and its folder? --project" in project.refused(4, "list")

    def test_upgrade_check_and_backup(self, project):
        assert project.ok("ledger", "upgrade")["revision"] == project.ok("ledger", "check")["head"]
        made = project.ok("ledger", "backup", "copy.db")
        assert (project.folder / made["backup"]).stat().st_size > 0
        assert "exists already" in project.refused(4, "ledger", "backup", "copy.db")

    def test_contradictions_are_exit_4(self, project):
        dataset(project.folder / "d.jsonl")
        project.ok("prepare", "--dataset", "d.jsonl")
        with project.ledger() as ledger, ledger.write() as tx:
            tx.execute(sa.text("DELETE FROM requests WHERE item_id = 'r2'"))
        ran = project.run("ledger", "check")
        assert ran.code == 4
        assert "jobs whose requests do not add up: 1 rows" in ran.out

    def test_one_that_nobody_can_reach_tells_no_password(self, project):
        project.environment["BATCHFLOW_DATABASE_URL"] = "postgresql+psycopg://me:hunter22@127.0.0.1:9/db"
        ran = project.run("list", "--json")
        assert ran.code == 4
        assert "hunter22" not in ran.out + ran.err


class TestKeys:
    """A vendor that echoes the key in its errors gets it into no file, ledger or text of ours."""

    @pytest.fixture
    def leaky(self, vendor):
        vendor.project.environment["OPENAI_API_KEY"] = KEY
        vendor.project.environment["MISTRAL_API_KEY"] = KEY[3:]
        return vendor

    def everything(self, project):
        found = b"".join(
            path.read_bytes() for path in project.folder.rglob("*") if path.is_file() and path.name != ".env"
        )
        with project.ledger() as ledger, ledger.read() as tx:
            rows = [tx.execute(sa.text(f"SELECT * FROM {table}")).fetchall() for table in ("batches", "jobs", "events")]
        return found.decode("utf-8", "replace") + repr(rows)

    @pytest.mark.parametrize("source", ["environment", "dotenv"])
    def test_are_nowhere(self, leaky, source):
        echo = f"Incorrect API key provided: {KEY}. You sent Bearer {KEY} and {KEY[3:]}"
        leaky.fault("status", call="upload", status=401, message=echo, times=0)
        leaky.prepare()
        if source == "dotenv":
            (leaky.project.folder / ".env").write_text(f"OPENAI_API_KEY={KEY}\nMISTRAL_API_KEY={KEY[3:]}\n")
            for name in ("OPENAI_API_KEY", "MISTRAL_API_KEY"):
                del leaky.project.environment[name]
        told = [leaky.project.run("start", "b"), leaky.project.run("start", "b", "--json")]
        told += [leaky.project.run("show", "b"), leaky.project.run("get", "b", "--json")]
        assert told[0].code == 5
        assert "Incorrect API key" in told[0].err
        text = "".join(ran.out + ran.err for ran in told)
        assert KEY not in text
        assert KEY[3:] not in text
        assert KEY[3:] not in self.everything(leaky.project)

    def test_of_the_project_are_hidden_when_it_is_named_from_elsewhere(self, leaky, tmp_path):
        leaky.prepare()
        project, elsewhere = leaky.project, tmp_path / "elsewhere"
        elsewhere.mkdir()
        (project.folder / ".env").write_text("GROQ_API_KEY=plain-words-are-a-key-too\n")
        leaky.fault("status", call="upload", status=400, message="you sent plain-words-are-a-key-too", times=0)
        done = batchflow(elsewhere, "--project", str(project.folder), "start", "b", **project.environment)
        assert done.returncode == 5
        assert "plain-words" not in done.stderr


class TestHostileText:
    def test_of_a_vendor_is_cleaned_on_cards_and_errors(self, vendor):
        vendor.prepare()
        vendor.fault("status", call="create", status=400, message=f"no{ESC}thing")
        said = vendor.project.refused(5, "start", "b")
        shown = vendor.project.run("get", "b").out + vendor.project.run("show", "b").out
        for text in (said, shown):
            assert "no" in text
            for bad in "\x1b\x07\u202e\u200b":
                assert bad not in text

    def test_of_a_data_set_is_refused_where_it_would_be_an_id(self, project):
        dataset(project.folder / "d.jsonl", [riddle(1, id=f"a{ESC}")])
        said = project.refused(3, "prepare", "--dataset", "d.jsonl")
        assert "\x1b" not in said

    def test_of_a_file_name_is_cleaned(self, project):
        assert "\x1b" not in project.refused(4, "show", f"b{ESC}")


def test_what_nobody_expected_leaves_a_log_without_keys(project, monkeypatch):
    project.environment["OPENAI_API_KEY"] = KEY

    def fail(*_, **__):
        raise RuntimeError(f"boom {KEY}")

    monkeypatch.setattr("batchflow.steps.viewing.batch_list.listing", fail)
    ran = project.run("list")
    assert ran.code == 1
    assert "unexpected RuntimeError: boom ***; " not in ran.err
    assert "boom ***" in ran.err
    log = Path(ran.err.rpartition("report it with ")[2].strip())
    assert "Traceback" in log.read_text()
    assert KEY not in log.read_text()
    assert log.parent.name == "logs"
    for _ in range(3):
        project.run("list")
    assert list(log.parent.iterdir()) == [log]  # the same failure has one log, however often it comes


@pytest.mark.parametrize("json_too", [False, True])
@pytest.mark.parametrize("text", [f"\ud800 {KEY}", f"\0{KEY}\x1b[2J"])
def test_a_failure_whose_text_cannot_be_written_is_told_without_it(project, monkeypatch, tmp_path, text, json_too):
    """A vendor's half of a surrogate pair beside its echo of the key, and no folder that takes a log."""
    project.environment |= {"OPENAI_API_KEY": KEY, "BATCHFLOW_HOME": "/dev/null/x"}
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))

    def fail(*_, **__):
        raise RuntimeError(text) from ValueError(text)

    monkeypatch.setattr("batchflow.steps.viewing.batch_list.listing", fail)
    ran = project.run("list", *(["--json"] if json_too else []))
    assert ran.code == 1
    assert ran.err.startswith("batchflow: unexpected RuntimeError")
    assert ran.err.count("\n") == 2
    for bad in (KEY, "\ud800", "\x1b", "Traceback"):
        assert bad not in ran.err + ran.out
    if json_too:
        assert ran.json["error"]["class"] == "RuntimeError"


def test_a_failure_inside_the_failure_report_is_one_plain_line(project, monkeypatch):
    project.environment["OPENAI_API_KEY"] = KEY

    class Unspeakable(RuntimeError):
        def __str__(self):
            raise ValueError(KEY)

    def fail(*_, **__):
        raise Unspeakable

    monkeypatch.setattr("batchflow.steps.viewing.batch_list.listing", fail)
    ran = project.run("list", "--json")
    assert ran.json["error"]["message"] == "unexpected Unspeakable, and telling it failed with ValueError"
    assert KEY not in ran.err


def test_an_error_in_a_line_of_json_names_one_line(project):
    (project.folder / "d.jsonl").write_text(f'{json.dumps(riddle(1))}\n{{"id": oops}}\n')
    said = project.refused(3, "prepare", "--provider", "local", "--dataset", "d.jsonl")
    assert said.count("line ") == 1
    assert "d.jsonl, line 2: not JSON (" in said
    assert "at column 8)" in said


class TestCards:
    def test_show_writes_values_as_people_do(self, vendor):
        vendor.finished("b", "--max-tokens", 12345)
        card = vendor.project.run("show", "b").out
        keys = [row.partition(":")[0] for row in card.splitlines()[1:] if ":" in row.split("  ")[0]]
        assert "Data set sha256" in keys
        assert [key for key in keys if key[0].islower() and key not in {"note", "next"}] == []
        assert not re.search(r"[{}\[\]']|None|True|False", card)
        assert "token " in card
        assert "12345" in card

    def test_a_warning_of_an_sdk_reaches_the_terminal_clean(self, vendor, monkeypatch):
        """As Gemini's warns of a state that it does not know, with the state's text in it."""
        vendor.project.environment["OPENAI_API_KEY"] = KEY
        vendor.prepare()
        explain = openai.explain

        def noisy(error):
            logging.getLogger("sdk").warning("a line %s", f"{ESC} {KEY}")
            warnings.warn(f"state {ESC} is not valid {KEY}", UserWarning, stacklevel=1)
            return explain(error)

        monkeypatch.setattr(openai, "explain", noisy)
        vendor.fault("status", call="create", status=400, message="no")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            said = vendor.project.run("start", "b").err
        assert "is not valid ***" in said
        assert not re.search(r"[\x1b\x07\u202e\u200b]", said)
        assert KEY not in said
