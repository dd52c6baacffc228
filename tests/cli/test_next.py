"""What is proposed as the next command works where it is typed: each is run by a shell, as it stands."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from helpers import warm
from helpers.commands import IMPATIENT, dataset

import batchflow

ROOT = Path(batchflow.__file__).parents[1]
OWN = "own.jsonl"
STEPS = 14


def module() -> str:
    return f"{warm.python()} -m batchflow"


class Shell:
    """A folder in which commands are typed, and what they propose."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def accepted(self, command: str) -> list[str]:
        """Run a command that has to be accepted; returns the commands that it proposes."""
        ran = self.run(command)
        assert ran.returncode in {0, 7}, (command, ran.returncode, ran.stdout, ran.stderr)
        return [row.removeprefix("next: ") for row in ran.stdout.splitlines() if row.startswith("next: ")]

    def follow(self, command: str, *, until: str) -> list[str]:
        """Type a command, then all that is proposed, until the word `until`; returns what was typed."""
        typed, waiting = [], [command]
        for _ in range(STEPS):
            proposed = [each for command in waiting for each in self.accepted(command)]
            typed += waiting
            assert proposed, waiting
            waiting = list(dict.fromkeys(proposed))
            if any(until in each.split() for each in waiting):
                return [*typed, *waiting]
        raise AssertionError(typed)

    def refused(self, command: str) -> str:
        """Run a command that has to be refused; returns the first command that the refusal names."""
        ran = self.run(command)
        assert ran.returncode == 2, (command, ran.stdout, ran.stderr)
        hint = ran.stderr.partition("what to do: ")[2].strip()
        return hint.rpartition("`: ")[2].partition(";")[0]


def project(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "batchflow.toml").write_text(IMPATIENT)
    dataset(folder / OWN)
    return folder


def outcome(shell: Shell, name: str, where: str = "") -> list[dict[str, str]]:
    path = shell.folder / where / "results" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_rehearsal_goes_on_by_what_it_proposes_and_remembers_the_data_set(tmp_path):
    shell = Shell(project(tmp_path / "p"))
    first = f"{module()} rehearse --polls 1 --right 1 -- {module()} prepare --name b --task riddles --dataset {OWN}"
    typed = shell.follow(first, until="show")
    assert all("rehearse --polls 1 --right 1 -- " in command for command in typed)
    assert [json.loads(row["answer"])["answer"] for row in outcome(shell, "b")] == ["2", "3", "4", "5"]


def test_from_elsewhere_with_a_project_whose_name_has_a_space(tmp_path):
    project(tmp_path / "some where" / "p")
    shell = Shell(tmp_path / "else where")
    first = f"{module()} --project '../some where/p' rehearse --polls 1 -- {module()} prepare --name b --limit 2"
    shell.follow(first, until="show")
    assert not any(shell.folder.iterdir())
    assert len(outcome(shell, "b", "../some where/p")) == 2


def test_from_elsewhere_without_a_vendor(tmp_path):
    folder = project(tmp_path / "p")
    answers = folder / "mine.jsonl"
    rows = [{"custom_id": f"r{n}", "answer": json.dumps({"answer": str(n), "justification": "x"})} for n in range(1, 5)]
    answers.write_text("".join(json.dumps(row | {"model": "m"}) + "\n" for row in rows))
    shell = Shell(tmp_path / "elsewhere")
    words = f"import predictions {answers} --provider acme --task riddles --dataset {folder / OWN}"
    typed = shell.follow(f"{module()} {words} --project ../p", until="show")
    assert all(f"{module()} --project ../p " in command for command in typed[1:])


def test_several_batches_are_brought_on_together_and_one_by_one(tmp_path):
    shell = Shell(project(tmp_path / "p"))
    inside = f"{module()} rehearse --polls 1 -- {module()}"
    for name in "abc":
        shell.accepted(f"{inside} prepare --name {name} --limit 2")
    proposed = shell.accepted(f"{inside} start a b")
    assert len(proposed) == 1
    assert proposed[0].endswith("get a b --wait")
    assert shell.accepted(proposed[0])[0].endswith("results a b")
    proposed = shell.accepted(f"{inside} get a b c")
    assert [command.split(" -m batchflow ")[-1] for command in proposed] == ["results a b", "start c"]
    for command in proposed:
        shell.accepted(command)
    for command in shell.accepted(f"{inside} results a b"):
        assert " jury results/" in command
        shell.accepted(command)


def test_failures_lead_to_a_retry_that_can_be_typed(tmp_path):
    shell = Shell(project(tmp_path / "p"))
    (shell.folder / "faults.toml").write_text('[[fault]]\ncall = "job"\nkind = "errors"\nfraction = 1.0\n')
    inside = f"{module()} rehearse --polls 1 --faults faults.toml -- {module()}"
    shell.accepted(f"{inside} prepare --name b --limit 2")
    shell.accepted(f"{inside} start b")
    shell.accepted(f"{module()} rehearse --polls 1 -- {module()} get b --wait")
    card = shell.run(f"{module()} rehearse --polls 1 -- {module()} results b").stdout
    why = next(row for row in card.splitlines() if row.startswith("Why:"))
    assert shell.accepted(why.rpartition("; ")[2])[0].endswith("start b_retry_1")
    assert any("retry b" in command for command in card.splitlines() if command.startswith("next:"))


def test_a_refusal_names_the_command_that_works(tmp_path):
    shell = Shell(project(tmp_path / "p"))
    inside = f"{module()} rehearse --polls 1 -- {module()}"
    shell.environment["OPENAI_API_KEY"] = "not-a-real-key"
    shell.accepted(f"{inside} prepare --name b --limit 2")
    again = shell.refused(f"{module()} start b")
    assert again.endswith("-m batchflow start b")
    assert "rehearse -- " in again
    assert shell.accepted(again)
    assert shell.accepted(shell.refused(f"{module()} cancel b"))


def test_the_program_is_named_as_it_was_called(tmp_path):
    shell = Shell(project(tmp_path / "p"))
    script = shell.folder / "bin" / "batchflow"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom batchflow.cli.main import main\nmain()\n")
    script.chmod(0o755)
    words = f"prepare --provider local --base-url http://127.0.0.1:9/v1 --model m --task riddles --dataset {OWN} --name"
    assert shell.accepted(f"bin/batchflow {words} a") == ["bin/batchflow start a"]
    shell.environment["PATH"] = f"{script.parent}:{os.environ['PATH']}"
    assert shell.accepted(f"batchflow {words} b") == ["batchflow start b"]
    assert shell.accepted(f"{module()} {words} c") == [f"{module()} start c"]


def test_in_a_shell_that_is_rehearsed_the_next_command_is_typed_there(tmp_path):
    shell = Shell(project(tmp_path / "p"))
    script = f"{module()} prepare --name b --limit 1 && {module()} start b"
    proposed = shell.accepted(f"{module()} rehearse -- sh -c {shlex.quote(script)}")
    assert proposed == [f"{module()} start b", f"{module()} get b --wait"]
