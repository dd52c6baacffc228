from __future__ import annotations

import ast
import itertools
import subprocess
import sys
from pathlib import Path

from batchflow.steps.workers import entry

PACKAGE = Path(entry.__file__).parents[2]


def test_the_command_is_this_module_under_the_name_that_it_has():
    assert (sys.executable, "-m", "batchflow.steps.workers.entry") == entry.COMMAND


def test_to_know_the_command_imports_no_worker():
    told = "import sys, batchflow.steps.workers.entry; print(*sys.modules)"
    seen = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    ours = {name for name in seen if name.split(".")[0] == "batchflow"}
    assert ours == {"batchflow", "batchflow.steps", "batchflow.steps.workers", "batchflow.steps.workers.entry"}


def test_no_module_starts_another_by_its_name_in_a_string():
    """Such an arrow is seen by no linter: a module is named by `__name__` where it is imported."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            words = node.elts if isinstance(node, ast.List | ast.Tuple) else getattr(node, "args", None)
            if isinstance(words, list):
                said = [getattr(word, "value", None) for word in words]
                after = [name for flag, name in itertools.pairwise(said) if flag == "-m"]
                found += [f"{path.name}: {name}" for name in after if str(name).startswith("batchflow.")]
    assert found == []
