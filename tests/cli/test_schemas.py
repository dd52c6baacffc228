"""What commands print with --json is what docs/schemas says, whatever the number of names."""

from __future__ import annotations

import jsonschema
import pytest
from helpers import schemas
from helpers.commands import dataset

JUDGES = "rule:exact,rule:normalised,rule:numeric"


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


def test_every_command_along_the_pipeline_with_one_name_and_with_two(vendor):
    folder, said = vendor.project.folder, vendor.project.ok
    for name in "ab":
        dataset(folder / f"{name}.jsonl")
        flags = ("--provider", "openai", "--model", "gpt-6-luna", "--name", name, "--dataset", f"{name}.jsonl")
        fits("prepare", said("prepare", *flags))
    for words in (("start", "a"), ("start", "a", "b"), ("get", "a", "b", "--refresh-after", 0), ("get", "a")):
        document = fits(words[0], said_with_code(vendor.project, *words))
        assert [row["name"] for row in document["batches"]] == [word for word in words if word in {"a", "b"}]
        assert document["next"].startswith("batchflow ")
        assert ("name" in document) == (len(document["batches"]) == 1)
    both = fits("results", said("results", "a", "b"))
    assert [row["name"] for row in both["batches"]] == ["a", "b"]
    fits("results", said("results", "a"))
    for name in "ab":
        fits("jury", said("jury", name, "--judges", JUDGES, "--wait"))
    assert len(fits("score", said("score", "a"))["batches"]) == 1
    assert len(fits("score", said("score", "a", "b"))["batches"]) == 2
    fits("compare", said("compare", "a", "b"))
    fits("list", said("list"))
    fits("show", said("show", "a"))
    fits("ledger", said("ledger", "check"))
    fits("engine-list", said("engine", "list"))
    vendor.prepare("c")
    fits("cancel", said("cancel", "c"))
    fits("delete", said("delete", "c"))
    fits("error", vendor.project.run("show", "nobody", "--json").json)


def said_with_code(project, *words):
    ran = project.run(*words, "--json")
    assert ran.code in {0, 7}, ran
    return ran.json
