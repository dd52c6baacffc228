"""What users import: examples run as written, the lazy names are all there, and nothing heavy comes along early."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import batchflow.score

MODULES = [
    "batchflow.score",
    *(module.name for module in pkgutil.walk_packages(batchflow.score.__path__, "batchflow.score.")),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0


def test_documented_functions_have_examples():
    shown = {"summarise", "estimate", "item_values", "read_gold", "compare", "agree", "bradley_terry", "pass_at_k"}
    assert all(">>>" in getattr(batchflow.score, name).__doc__ for name in shown)


def test_every_public_name_is_found_where_it_lives():
    for name in batchflow.score.__all__:
        assert getattr(batchflow.score, name).__module__.startswith("batchflow.score.")
    assert set(batchflow.score.__all__) <= set(dir(batchflow.score))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = batchflow.score.nothing_like_it


def modules_after(code):
    run = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(run, capture_output=True, text=True, check=True).stdout.split())


def test_the_package_is_free_and_a_score_takes_no_scipy():
    assert not {"numpy", "scipy"} & modules_after("import batchflow.score")
    scored = modules_after("from batchflow.score import estimate; estimate([1, 0] * 30)")
    assert "numpy" in scored
    assert "scipy.stats" not in scored
