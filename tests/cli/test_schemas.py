"""What commands print with --json is what docs/schemas says, whatever the number of names."""

from __future__ import annotations

import click
import jsonschema
import pytest
from helpers import docs, schemas
from helpers.commands import dataset

from batchflow.cli.main import COMMANDS


def fits(name, document):
    """The document, once it is known to hold nothing that its schema does not name."""
    jsonschema.validate(document, schemas.closed(schemas.schemas()[name]))
    return document


def test_the_pages_are_current():
    written = {path.name.removesuffix(".schema.json"): path.read_text("utf-8") for path in schemas.FOLDER.iterdir()}
    made = {name: schemas.text(schema) for name, schema in schemas.schemas().items()}
    assert written == made, "run: python tests/helpers/docs.py"


def test_a_key_too_many_and_one_too_few_are_noticed():
    row = {"error": {"class": "x", "message": "", "hint": "", "exit_code": 1}}
    fits("error", row)
    for wrong in ({"error": {**row["error"], "more": 1}}, {"error": {"class": "x"}}, {}):
        with pytest.raises(jsonschema.ValidationError):
            fits("error", wrong)


SUITE = """[[data]]
dataset = "d.jsonl"
task = "riddles"
[[data]]
name = "e"
dataset = "d.jsonl"
task = "riddles"
"""
ASKED = ("--provider", "openai", "--model", "gpt-6-luna")
NAMES = {"name", "names", "target", "targets"}
"""Arguments that are names of batches."""


def steps():
    """Commands in an order that works, each with its names: one batch, several, a suite; and its flags."""
    one, several, suite = [("a",)], [("a", "b")], [("s",)]
    for verb in ("start", "get", "results", "watch"):
        yield verb, [*one, *several, *suite], ()
    yield "jury", [*one, ("b",), *suite], ("--judges", "rule:exact", "--wait")
    for verb in ("score", "report"):
        yield verb, [*one, *several, *suite], ()
    yield "compare", [*several, ("s", "r"), ("a", "b", "s_d")], ()
    yield "rank", [*several, ("a", "b", "s_d")], ()
    yield "plan", [*one, *several], ()
    for verb in ("show", "retry"):
        yield verb, [*one, *suite], ()
    yield "cancel", [("a_retry_1",), ("t",)], ()
    for verb, flags in (("estimate", ()), ("export", ("--to", "csv"))):
        yield verb, [*one, *suite], flags
    yield "update", one, ("--title", "t")
    yield "delete", [*one, *suite], ("--force",)


AROUND = {
    "list": ("list",),
    "show-items": ("show", "b", "--items"),
    "labels-sheet": ("labels", "sheet", "b", "--n", 2),
    "ledger": ("ledger", "check"),
    "engine-list": ("engine", "list"),
}
"""Commands without names, and others' forms that flags choose."""


def test_a_command_prints_the_same_keys_for_one_name_for_two_and_for_a_suite(vendor):
    project = vendor.project
    dataset(project.folder / "d.jsonl")
    (project.folder / "s.toml").write_text(SUITE)
    for name in "ab":
        fits("prepare", project.ok("prepare", *ASKED, "--dataset", "d.jsonl", "--name", name))
    for name in "str":
        project.ok("prepare", "--suite", "s.toml", *ASKED, "--name", name)
    vendor.fault("errors", call="job", fraction=0.5, times=0)
    taken = {
        verb: {p.name for p in docs.command_of((verb,)).params if isinstance(p, click.Argument)} for verb in COMMANDS
    }
    taking = {verb for verb, arguments in taken.items() if arguments & NAMES}
    assert {verb for verb, _, _ in steps()} == taking, "a command that takes names is not held to its shape here"
    for verb, named, flags in steps():
        documents = [fits(verb, said_with_code(project, verb, *names, *flags)) for names in named]
        assert len({frozenset(document) for document in documents}) == 1, verb
        assert all(document["next"].startswith("batchflow ") for document in documents)
        if verb in {"get", "score", "compare"}:
            assert {row["name"] for row in documents[-1].get("batches", documents[-1].get("models"))} >= {"s_d"}
    for schema, words in AROUND.items():
        fits(schema, project.ok(*words))
    fits("error", project.run("show", "nobody", "--json").json)


def said_with_code(project, *words):
    ran = project.run(*words, "--json")
    assert ran.code in {0, 7}, ran
    return ran.json
