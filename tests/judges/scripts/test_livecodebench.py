"""LiveCodeBench: tests in all their forms, programs of every kind, and what a program can do to nobody."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import pickle
import zlib

import pytest
from helpers import compass
from helpers.commands import Project
from helpers.engine import serving

from batchflow import settings
from batchflow.errors import DataError, UsageError
from batchflow.judges.scripts import livecodebench
from batchflow.judges.scripts.livecodebench import Fault, Problem, passes, problem_of, program_of, same_text, same_value
from batchflow.tasks.registry import get

CASE = {"input": "1\n", "output": "2\n", "testtype": "stdin"}


def row(private, **more):
    return {"public_test_cases": json.dumps([CASE]), "private_test_cases": private, "metadata": "{}", **more}


@pytest.fixture
def known(tmp_path):
    compass.problems(tmp_path)
    loaded = settings.load(tmp_path)
    return dataclasses.replace(loaded, environment={"COMPASS_DATA_CACHE": str(tmp_path / "compass")})


def test_both_forms_of_private_tests_are_read():
    wanted = Problem(None, (("1\n", "2\n"), ("1\n", "2\n")))
    assert problem_of(row(json.dumps([CASE]))) == problem_of(row(compass.packed([CASE]))) == wanted


class Harm:
    """A pickle that would make a folder when it is loaded."""

    def __reduce__(self):
        return os.mkdir, ("harmed",)


@pytest.mark.parametrize(
    ("private", "told"),
    [
        (base64.b64encode(zlib.compress(pickle.dumps(Harm()))).decode(), "posix.mkdir is not admitted"),
        (base64.b64encode(zlib.compress(pickle.dumps([1]))).decode(), "a pickled text is expected"),
        (base64.b64encode(zlib.compress(pickle.dumps("[")[:-3])).decode(), "packed form"),
        (base64.b64encode(zlib.compress(b"\x80\x04" + b"0" * 9)).decode(), "packed form"),
        (compass.packed([CASE])[:40], "packed form|torn"),
        ("nothing", "packed form"),
        (None, "a list of tests"),
        (json.dumps([{"input": 1, "output": ""}]), "a test needs the texts"),
        ("{}", "a list of tests"),
    ],
)
def test_a_hostile_or_torn_pickle_is_refused_and_never_run(tmp_path, monkeypatch, private, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Fault, match=told) as refusal:
        problem_of(row(private))
    assert refusal.value.field == "private_test_cases"
    assert list(tmp_path.iterdir()) == []


def test_tests_that_unpack_to_too_much_are_refused(monkeypatch):
    monkeypatch.setattr(livecodebench, "LARGEST", 20)
    with pytest.raises(Fault, match="torn, or larger"):
        problem_of(row(compass.packed([CASE])))


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("```python\na\n```\nand\n```\nb\nc\n```\nend", "b\nc"),
        ("```py\na\n```\n```py\nb", None),
        ("~~~\n```\n~~~", "```"),
        ("none", None),
        ("```\n\n```", None),
    ],
)
def test_the_last_block_is_the_program(text, program):
    assert program_of(text) == program


def test_outputs_are_compared_line_by_line_and_as_numbers():
    assert same_text("1 \n2.0\n", "1\n2")
    assert not same_text("1\n2", "1 2")
    assert not same_text("yes", "YES")
    assert same_value([1, {"a": [2.0]}], [1.0, {"a": [2]}])
    assert not same_value([True], [1])
    assert not same_value([1], [1, 1])


@pytest.mark.parametrize(
    ("program", "is_right"),
    [
        ("print(int(input()) + 1)", True),
        (
            "from __future__ import annotations\nimport sys\nn = int(sys.stdin.readline())\nprint(n + 1)\nsys.exit(3)",
            True,
        ),
        ("if __name__ == '__main__':\n    print(Counter('aa')['a'] + gcd(0, 0))", True),
        ("def f(n):\n    return 0 if n == 0 else 1 + f(n - 1)\nprint(f(9000) - 8998)", True),
        ("print(int(input()))", False),
        ("print(2)\nraise ValueError", False),
        ("print(2", False),
        ("print(2)\nimport os\nos._exit(0)", False),
        ("while True: pass", False),
        ("print('x' * (1 << 27))", False),
        ("import os\nprint(2 if not [n for n in os.environ if 'KEY' in n] else 1)", True),
        ("import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'while True: pass'])\nprint(2)", True),
    ],
)
def test_a_program_that_reads_stdin(monkeypatch, program, is_right):
    monkeypatch.setattr(livecodebench, "TEST_S", 1.5)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert passes(program, Problem(None, (("1\n", "2\n"),))) is is_right


def test_a_function_is_called_and_its_prints_go_nowhere():
    tests = Problem("twice", (("[1, 2]\n2", "[2, 4]"), ("[]\n2", "[]")))
    assert passes("print(1)\n" + compass.TWICE, tests)
    assert passes("def twice(values, times):\n    return tuple(times * v for v in values)", tests)
    assert not passes("def once(values):\n    return values", tests)
    assert not passes(compass.TWICE.replace("times * v", "True"), tests)


def test_the_task_reads_a_release_and_keeps_tests_out_of_the_ledger(known, tmp_path):
    task = get("livecodebench")
    source = task.source(known, "v6", None)
    items = list(task.items(source, "v6"))
    prompts = [task.prompt(item, 0, task.template("v6", None)).parts[0] for item in items]
    assert prompts[0].startswith(f"### Question:\n{compass.ECHO}\n\n### Format: Read the inputs from stdin")
    assert prompts[0].endswith(
        "```python\n# YOUR CODE HERE\n```\n\n### Answer: (use the provided format with backticks)\n\n"
    )
    assert "def twice(self" in prompts[1]
    assert [item.references for item in items] == [("abc1",), ("2917",)]
    assert set(task.columns(items[0])) == {"question_id", "platform", "difficulty", "contest_date"}
    with pytest.raises(UsageError, match=r"code_generation_lite/test\.jsonl"):
        task.source(known, "release_v6", None)
    (tmp_path / "torn.jsonl").write_text(json.dumps(row("x", question_content="q", question_id="1")) + "\n")
    with pytest.raises(DataError, match=r"torn\.jsonl, line 1, field private_test_cases"):
        list(task.items(task.source(known, "v1", tmp_path / "torn.jsonl"), "v1"))


def test_from_the_guides_configuration_to_a_score(tmp_path):
    compass.problems(tmp_path)
    project = Project(tmp_path / "project", {"COMPASS_DATA_CACHE": str(tmp_path / "compass")})
    project.environment.pop("BATCHFLOW_TASK")
    with serving("m") as model:
        model.text = compass.programs
        project.ok(
            "init-config",
            "my_run",
            "-d",
            "code",
            "--repeats",
            2,
            "--api-server",
            model.url,
            "--judger-server",
            model.url,
            "-o",
            "c.yaml",
        )
        refusal = project.refused(2, "run", "c.yaml", "--refresh-after", 0)
        assert "runs programs that a model wrote" in refusal
        assert (len(model.calls), project.files()) == (0, {"c.yaml"})
        (project.folder / "batchflow.toml").write_text(project.toml + "[verifier]\nrun_programs = true\n")
        ran = project.ok("run", "c.yaml", "-w", "outputs", "--refresh-after", 0)
    assert [(row["dataset"], row["score"]) for row in ran["rows"]][:1] == [("lcb_code_generation_repeat_2", 50.0)]
    (judged,) = (project.folder / ran["folder"]).glob("results/my_run/*.json")
    metrics = json.loads(judged.read_text())
    assert {value for name, value in metrics.items() if name.startswith("accuracy (")} == {50.0}
