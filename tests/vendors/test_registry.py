from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import CHILD

from batchflow.errors import UsageError
from batchflow.records import Capabilities, Params, Phase, Request
from batchflow.settings import ACCESS, VENDORS, load
from batchflow.vendors import base, registry


def test_every_vendor_with_a_key_is_a_provider():
    assert set(ACCESS) <= set(registry.names())


def test_an_unknown_provider_is_told_the_known_ones():
    with pytest.raises(UsageError, match="'opnai'") as caught:
        registry.get("opnai")
    assert all(name in caught.value.hint for name in registry.names())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("OpenAI", "openai"), ("OPENAI", "openai"), ("Open AI", "openai"), ("Anthropic", "anthropic"),
        ("Google", "gemini"),
        ("Google Gemini", "gemini"), ("Mistral AI", "mistral"), ("Together.ai", "together"), ("Groq", "groq"),
        ("my-gateway", "my-gateway"), ("grok", "grok"), ("", ""),
    ],
)  # fmt: skip
def test_vendors_may_be_spelled_as_they_spell_themselves(text, word):
    assert registry.spelled(text) == word


@pytest.mark.parametrize("name", registry.names())
def test_a_provider_has_every_verb(name):
    vendor = registry.get(name)
    verbs = ("check", "encode", "decode", "connect", "upload", "create", "find", "poll", "fetch", "cancel", "remove")
    for verb in (*verbs, "explain"):
        assert callable(getattr(vendor, verb))
    assert set(vendor.STATUSES.values()) <= set(Phase)


def test_the_shipped_table_knows_every_default_and_judge(tmp_path):
    settings = load(tmp_path, {})
    wanted = [(vendor, settings.default_model(vendor)) for vendor in ACCESS if vendor != "local"]
    wanted += [(judge["provider"], judge["model"]) for judge in settings.panel()]
    for vendor, model in wanted:
        can = settings.capabilities(vendor, model)
        assert can.known, f"{vendor} {model}"
        assert can.checked_on >= "2026-11-21"


def test_a_judges_thinking_level_is_one_that_its_model_takes(tmp_path):
    settings = load(tmp_path, {})
    for judge in settings.panel():
        level = judge.get("thinking_level")
        assert level is None or level in settings.capabilities(judge["provider"], judge["model"]).levels


def test_a_level_that_is_sent_unasked_is_one_that_its_model_takes(tmp_path):
    settings = load(tmp_path, {})
    rows = [(vendor, name, row) for vendor, table in settings.models["models"].items() for name, row in table.items()]
    unasked = [(name, row["level"], row["levels"]) for _, name, row in rows if "level" in row]
    assert unasked
    assert all(level in levels for _, level, levels in unasked)


def test_a_vendor_is_known_by_its_line_in_settings():
    homes = {name: f"batchflow.vendors.{name}" for name in ACCESS} | {"local": "batchflow.vendors.inhouse.local"}
    assert {name: registry.MODULES[name] for name in ACCESS} == homes
    assert {registry.get(name).NAME for name in ACCESS} == set(ACCESS)


ACME = Path(__file__).with_name("acme.py")
LINE = '    "acme": Access(("ACME_API_KEY",), ("ACME_BASE_URL",), speaks="openai"),\n'
PIPELINE = (
    ("prepare", "--provider", "acme", "--model", "m", "--limit", "4", "--name", "b"),
    ("start", "b"),
    ("get", "b", "--wait"),
    ("results", "b"),
)


def test_a_vendor_that_speaks_openais_protocol_is_its_facts_and_one_line(tmp_path):
    """In a copy of the package: its module, its line, and a batch goes there and back, at the rehearsal server."""
    assert len(ACME.read_text("utf-8").splitlines()) <= 60
    package, project = tmp_path / "batchflow", tmp_path / "project"
    shutil.copytree(Path(registry.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ACME, package / "vendors")
    table = package / "settings.py"
    table.write_text(table.read_text("utf-8").replace('    "local": Access(', f'{LINE}    "local": Access('), "utf-8")
    project.mkdir()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}
    commands = [sys.executable, "-W", "ignore", "-c", CHILD, json.dumps(PIPELINE)]
    rehearsed = [sys.executable, "-m", "batchflow", "rehearse", "--", *commands]
    run = subprocess.run(
        rehearsed, cwd=project, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    ends = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("[")]
    assert [code for code, *_ in ends] == [0] * len(PIPELINE), (run.stderr, ends)
    rows = (project / "results" / "b.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(row)["outcome"] for row in rows] == ["ok"] * 4


def test_traits_that_are_known_without_a_module_are_the_modules_own():
    assert {name: registry.get(name).TRAITS for name in registry.names()} == registry.TRAITS
    assert {name for name in registry.names() if registry.traits_of(name).pays} == set(VENDORS)
    assert registry.traits_of("a vendor of a later version").pays


@pytest.mark.parametrize("name", registry.names())
def test_a_line_carries_its_id_under_the_key_that_its_vendor_names(name, tmp_path):
    vendor = registry.get(name)
    data = {"row": {}, "reference": "1", "answer": "1"}
    request = Request("r1", "some-model", "", ("Question?",), None, Params(), data)
    line = vendor.encode(request, Capabilities(), vendor.ENDPOINTS[0])
    assert line[vendor.LINE.id] == "r1"
    assert vendor.LINE.asked in line


def test_what_a_provider_has_not_is_absent_by_name():
    able = {name: registry.get(name) for name in registry.names()}
    assert [name for name, vendor in able.items() if vendor.resume is not base.cannot_resume] == ["local"]
    assert [name for name, vendor in able.items() if vendor.facts is not base.no_facts] == ["local"]
    assert [name for name, vendor in able.items() if vendor.clock is not base.no_clock] == ["anthropic"]
    assert base.cannot_resume(None, None) is False
    assert base.no_facts(None, None) == {}
    assert base.no_clock(None) is None


def test_no_step_compares_the_names_of_providers():
    """Steps ask `registry.traits_of`: a new provider would otherwise have to be found in each of them."""
    names, found = set(registry.names()), []
    for path in sorted((Path(registry.__file__).parents[1] / "steps").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Compare):
                said = [leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)]
                sides = [ast.unparse(side).rpartition(".")[2] for side in (node.left, *node.comparators)]
                constant = "provider" in ast.unparse(node) and {"NAME", "LOCAL"} & set(sides)  # not a judge kind's
                if names & {text for text in said if isinstance(text, str)} or constant:
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []
