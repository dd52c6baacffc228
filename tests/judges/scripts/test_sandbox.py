"""Verifier classes in a process of their own: what they say, and what they can do to nobody."""

from __future__ import annotations

import pytest

from batchflow.errors import DataError, UsageError
from batchflow.judges.scripts.sandbox import Script, VerifierError, sandbox

CLASSES = """
import os, sys, time

class Sumbootcamp:
    @staticmethod
    def extract_output(output):
        print("noise"); sys.stderr.write("noise")
        return output.rpartition("[[")[2].rstrip("]") if "[[" in output else None
    @classmethod
    def _verify_correction(cls, solution, identity):
        return int(solution) == identity["sum"]
    @classmethod
    def verify_score(cls, output, identity, format_score=0, short_penalty=True, format_penalty=True):
        return 0.125  # the base class of InternBootcamp would swallow the exception above

class Half:
    def verify_score(self, output, identity, short_penalty=True):
        return 0.1 if short_penalty else 0.5

class Hostile:
    @staticmethod
    def verify_score(output, identity):
        if output == "loop":
            while True: pass
        if output == "allocate":
            return len(bytearray(1 << 40))
        if output == "exit":
            os._exit(3)
        if output == "leave":
            sys.exit("bye")
        if output == "environment":
            return float(any("KEY" in name for name in os.environ))
        if output == "write":
            os.write(1, b'{"value": 1}\\n'); os.write(2, b"x")
        return {"two": 2, "text": "1", "nan": float("nan")}.get(output, 0.25)
"""


@pytest.fixture
def script(tmp_path):
    """Names a class of the file; half a second for an answer."""
    path = tmp_path / "verifiers.py"
    path.write_text(CLASSES)
    return lambda name="": Script.of(f"{path}:{name}" if name else str(path), timeout_s=0.5, memory_mb=600)


def said(running, script, answer, truth=None, source=""):
    try:
        return running.ask(script, {"answer": answer, "ground_truth": truth, "data_source": source}).value
    except VerifierError as error:
        return str(error)


def test_a_class_scores_answers_and_its_exception_is_never_a_wrong_answer(script):
    with sandbox() as running:
        summed = script("Sumbootcamp")
        assert [said(running, summed, text, {"sum": 7}) for text in ("[[7]]", "[[8]]", "none")] == [1.0, 0.0, 0.0]
        assert said(running, summed, "[[seven]]", {"sum": 7}).startswith("ValueError: invalid literal")
        assert said(running, summed, "[[7]]", {}) == "KeyError: 'sum'"
        assert said(running, script("Half"), "x") == 0.5  # the penalties that InternBootcamp's runner switches off


def test_each_row_names_its_class_where_the_file_is_named_alone(script):
    with sandbox() as running:
        assert said(running, script(), "[[7]]", {"sum": 7}, "sum") == 1.0  # upper and lower case may differ
        assert (
            said(running, script(), "[[7]]", {"sum": 7}, "Product") == "LookupError: there is no class Productbootcamp"
        )


def test_whatever_a_class_does_costs_one_verdict(script, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none")
    hostile = script("Hostile")
    with sandbox() as running:
        assert said(running, hostile, "loop") == "no verdict within 0.5 s"
        assert said(running, hostile, "allocate") == "MemoryError:"
        assert said(running, hostile, "exit") == "its process ended (3)"
        assert said(running, hostile, "leave") == "SystemExit: bye"
        assert said(running, hostile, "environment") == 0.0
        assert said(running, hostile, "write") == 0.25
        assert said(running, hostile, "two") == "ValueError: 2 is not a score between 0 and 1"
        assert said(running, hostile, "text") == "ValueError: '1' is not a score between 0 and 1"
        assert "not a score" in said(running, hostile, "nan")
        assert said(running, hostile, "fine") == 0.25


OUTPUTS = """
class Any:
    VALUES = {"list": [1, "2", None], "tuple": (1, 2), "nan": float("nan"), "set": {3}, "long": "x" * 20_000}
    @classmethod
    def extract_output(cls, output):
        class Silent:
            def __str__(self): raise RuntimeError
        return (cls.VALUES | {"silent": Silent(), "none": None})[output]
    @classmethod
    def _verify_correction(cls, solution, identity):
        return identity == [0, {"a": None}]
"""


def test_what_was_extracted_comes_along_as_json_can_hold_it(tmp_path):
    path = tmp_path / "outputs.py"
    path.write_text(OUTPUTS)
    script = Script.of(f"{path}:Any")
    wanted = {"list": [1, "2", None], "tuple": [1, 2], "nan": "nan", "set": "{3}", "silent": None, "none": None}
    with sandbox() as running:
        for name, extracted in wanted.items():
            ruling = running.ask(script, {"answer": name, "ground_truth": [0, {"a": None}], "data_source": ""})
            assert ruling == ((1.0 if name != "none" else 0.0), extracted), name
        row = {"answer": "long", "ground_truth": None, "data_source": ""}
        assert (running.ask(script, row).value, len(running.ask(script, row).extracted)) == (0.0, 10_000)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import no_such_module_here", "ModuleNotFoundError"),
        ("class Other: pass", "there is no class Wanted"),
        ("class Wanted: pass", "neither verify_score nor _verify_correction"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_before_anything_is_written(tmp_path, text, why):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(UsageError, match=why):
        Script.of(f"{path}:Wanted").check()


def test_a_file_that_was_changed_or_is_absent_is_refused(tmp_path, script):
    with pytest.raises(UsageError, match="there is no such Python file"):
        Script.of(f"{tmp_path}/none.py:Wanted")
    named = script("Half")
    (tmp_path / "verifiers.py").write_text(CLASSES + "\n")
    with pytest.raises(DataError, match="was changed since"):
        named.check()
