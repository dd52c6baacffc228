from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from batchflow import vocabulary

FILES = {vocabulary.SPEC, vocabulary.OUTPUT, vocabulary.PROGRESS, vocabulary.ENGINE, vocabulary.JOBS}


def test_it_costs_nothing_to_import():
    told = "import sys, batchflow.vocabulary; print(*sys.modules)"
    seen = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in seen if name.split(".")[0] == "batchflow"} == {"batchflow", "batchflow.vocabulary"}


def test_no_module_spells_the_files_of_a_local_job_again():
    home, found = Path(vocabulary.__file__), []
    for path in sorted(home.parent.rglob("*.py")):
        said = [node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)]
        found += [
            f"{path.name}: {word}" for word in said if path != home and word in {*FILES, vocabulary.EMBEDDED_MODEL}
        ]
    assert found == []
