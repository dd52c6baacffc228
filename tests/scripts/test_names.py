"""The name of the distribution and the tested versions, which several files have to agree on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from helpers import sdks

from batchflow.errors import DISTRIBUTION, install_extra

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
WANTED = [line for lines in (PROJECT["dependencies"], *EXTRAS.values()) for line in lines]
CONSTRAINTS = [line for line in (ROOT / "scripts/constraints.txt").read_text().splitlines() if not line.startswith("#")]
SDKS = tuple({"google": "google-genai"}.get(name, name) for name in sorted(sdks.MODULES))


def test_the_distribution_has_one_name_and_the_command_another():
    assert PROJECT["name"] == DISTRIBUTION == "batchflow-eval"
    assert PROJECT["scripts"] == {
        "batchflow": "batchflow.__main__:main",
        "batchling": "batchflow.cli.batchling:main",
    }
    assert [line for line in WANTED if line.startswith("batchflow")] == [
        line for line in WANTED if line.startswith(f"{DISTRIBUTION}[")
    ]


def test_every_hint_names_an_extra_of_this_distribution():
    """PyPI's `batchflow` is a stranger's package."""
    hinted = set()
    for path in (
        *ROOT.glob("batchflow/**/*.py"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "README.md",
        *ROOT.glob("scripts/*"),
    ):
        if path.is_file() and path.name != "decisions.md":  # which tells what once was
            text = path.read_text(errors="replace")
            assert not re.search(r"(?<![\w-])batchflow\[[a-z]", text), path
            hinted |= set(re.findall(r"batchflow-eval\[([a-z]+)\]", text))
            hinted |= set(re.findall(r"install_extra\(['\"]([a-z]+)['\"]\)", text))
    assert hinted
    assert hinted <= set(EXTRAS)
    assert install_extra("hf") == "pip install 'batchflow-eval[hf]'"


@pytest.mark.parametrize("sdk", SDKS)
def test_an_sdk_has_an_upper_bound_and_a_tested_version(sdk):
    (bound,) = [line for line in PROJECT["dependencies"] if re.match(rf"{sdk}[<>=]", line)]
    assert re.search(r",<\d+$", bound)
    assert len([line for line in CONSTRAINTS if re.fullmatch(rf"{sdk}<=[\d.]+", line)]) == 1
