"""What the command line repeats, so that --help imports nothing heavy, is what the layers below say."""

from __future__ import annotations

import pytest
from helpers.commands import Project

from batchflow.cli.commands.evaluation import jury, score
from batchflow.cli.commands.running import run
from batchflow.cli.commands.submission import estimate, import_
from batchflow.score import intervals, paired, summary, values
from batchflow.steps.judging.counting import cast as ballot
from batchflow.steps.verbs.evaluation import compare
from batchflow.vendors import registry


@pytest.mark.parametrize(
    "words",
    [("get", "b", "--wait", "--refresh-after", "nan"), ("score", "--level", "nan"), ("rehearse", "--right", "nan")],
)
def test_nan_is_no_number(tmp_path, words):
    said = Project(tmp_path / "project").refused(2, *words)
    assert "'nan' is not a number" in said


def test_the_choices_of_score():
    assert score.METHODS == summary.METHODS
    assert score.INTERVALS == intervals.CHOICES
    assert (*paired.METHODS, "dawid-skene") == compare.METHODS


def test_the_codes_of_votes():
    assert (ballot.MISSING, ballot.NOT_ASKED) == (values.MISSING, values.NOT_ASKED)


def test_requests_of_every_vendor_may_be_imported():
    (provider,) = (each for each in import_.requests_command.params if each.name == "provider")
    paid = [name for name in registry.names() if registry.traits_of(name).pays]
    assert provider.help.endswith(f"{', '.join(paid)}.")


@pytest.mark.parametrize("command", [jury.command, run.command, estimate.command])
def test_judges_are_named_at_once_or_one_by_one(command):
    words = ["--judges", "rule:exact, rule:numeric", "--judges", "openai"]
    target = ["results.jsonl"] if command is jury.command else []
    context = command.make_context("batchflow", [*target, *words], help_option_names=["-h", "--help"])  # click keeps it
    assert context.params["judges"] == ("rule:exact", "rule:numeric", "openai")
