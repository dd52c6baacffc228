"""What a command imports decides how long it takes to start; measured in new processes, as a user meets it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from helpers import sdks
from helpers.commands import dataset

HEAVY = frozenset({
    *(sdks.MODULES - {"google"}), "google.genai", "httpx", "httpx2", "pydantic", "requests", "numpy", "scipy", "rich",
    "textual", "alembic", "mako", "sqlalchemy.orm", "pyarrow", "xllamacpp", "starlette", "uvicorn", "dotenv", "obstore",
    "ray",
})  # fmt: skip
TELL = """
import sys
from batchflow.cli.main import main
sys.argv = ["batchflow", *sys.argv[1:]]
try:
    main()
except SystemExit as left:
    code = left.code
sys.stderr.write(" ".join(sorted(sys.modules)))
sys.exit(code)
"""


def modules(folder, *words, code=0):
    done = subprocess.run(
        [sys.executable, "-c", TELL, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == code, done.stderr[-2000:]
    return frozenset(done.stderr.rpartition("\n")[2].split(" "))


def heavy(seen):
    return {name for name in HEAVY if name in seen}


@pytest.fixture
def prepared(project):
    dataset(project.folder / "d.jsonl")
    project.ok("prepare", "--dataset", "d.jsonl", "--name", "b")
    return project.folder


def test_help_imports_the_table_of_commands_and_nothing_else_of_ours(tmp_path):
    seen = modules(tmp_path, "--help")
    ours = {name for name in seen if name.split(".")[0] == "batchflow"}
    assert ours == {"batchflow", "batchflow.cli", "batchflow.cli.main", "batchflow.cli.program"}
    assert heavy(seen) == set()
    assert "sqlalchemy" not in seen


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("get", "b"), 7),
        (("list",), 0),
        (("show", "b"), 0),
        (("get", "b", "--json"), 7),
        (("watch",), 0),
    ],
)
def test_what_the_ledger_answers_needs_no_sdk_and_no_numbers(prepared, words, code):
    seen = modules(prepared, *words, code=code)
    assert heavy(seen) == set()
    assert "sqlalchemy" in seen
    assert not {name for name in seen if name.startswith("batchflow.vendors.")} - {
        "batchflow.vendors.base", "batchflow.vendors.registry",
    }  # fmt: skip


def test_a_wait_in_a_pipe_draws_nothing(prepared):
    assert {"rich", "textual"}.isdisjoint(modules(prepared, "get", "b", "--wait", code=7))


def test_get_reads_no_task_and_starts_nothing(prepared):
    """Modules that `get` has no use for come in by one careless import, and nobody sees it."""
    seen = modules(prepared, "get", "b", code=7)
    assert not {name for name in seen if name.startswith(("batchflow.tasks", "batchflow.local", "batchflow.rehearsal"))}
    assert "batchflow.steps.verbs.submission.start" not in seen


def test_prepare_imports_no_sdk(tmp_path):
    """The first one migrates, and looks the model's price up; the price is kept."""
    words = ("prepare", "--provider", "openai", "--limit", "1", "--name")
    assert heavy(modules(tmp_path, *words, "a")) <= {"alembic", "mako", "sqlalchemy.orm", "pydantic", "httpx2"}
    seen = modules(tmp_path, *words, "b")
    assert heavy(seen) == set()
    assert "genai_prices" not in seen
