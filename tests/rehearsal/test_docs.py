"""docs/rehearsal.md names every kind and call, and its examples load."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from batchflow.rehearsal import server
from batchflow.rehearsal.faults import CALL_KINDS, CALLS, JOB_KINDS, load

DOCS = Path(server.__file__).parents[2] / "docs" / "rehearsal.md"


def test_every_kind_and_call_is_documented():
    text = DOCS.read_text("utf-8")
    for word in (*CALL_KINDS, *JOB_KINDS, *CALLS):
        assert f"`{word}`" in text


def test_the_example_script_loads(tmp_path):
    blocks = re.findall(r"(?:^    .*\n|^\n)+", DOCS.read_text("utf-8"), re.MULTILINE)
    (script,) = [block for block in blocks if "[[fault]]" in block]
    path = tmp_path / "faults.toml"
    path.write_text(textwrap.dedent(script))
    faults = load(path)
    assert faults.take("openai", "create")[0].kind == "reset"
    assert faults.take("groq", "download")[0].length is False
    assert faults.take("gemini", "job")[0].kind == "expire"
