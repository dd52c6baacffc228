"""Verifier of LiveCodeBench: runs a model's program on a problem's tests, each in a process of its own.

It runs in a verifier's process, which has its limits on memory and no environment, and imports nothing of this project.
The program sees the input of one test and never what is expected: the outputs are compared here.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

PROGRAM = Path(__file__).with_name("program.py")
TEST_S = 6.0  # as LiveCodeBench gives each test
AT_ONCE = 4
LARGEST = 1 << 30
"""Bytes of unpacked tests, beyond which they are refused."""
PUBLIC, PRIVATE, METADATA = "public_test_cases", "private_test_cases", "metadata"
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})([^\n`]*)$", re.MULTILINE)


class Fault(ValueError):
    """A field of a row that cannot be read."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


class Problem(NamedTuple):
    """Tests of a problem: pairs of input and expected output. function: to be called, None where stdin is read."""

    function: str | None
    cases: tuple[tuple[str, str], ...]


def problem_of(row: Mapping[str, Any]) -> Problem:
    """The public and the private tests of a row. Raises Fault."""
    text = row.get(PRIVATE)
    try:
        private = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        private = _unpacked(str(text))
    try:
        public = json.loads(row[PUBLIC])
    except (KeyError, TypeError, ValueError):
        raise Fault(PUBLIC, "a list of tests in JSON is expected") from None
    try:
        name = json.loads(row.get(METADATA) or "{}").get("func_name")
    except (AttributeError, TypeError, ValueError):
        raise Fault(METADATA, "an object in JSON is expected") from None
    if name is not None and not (isinstance(name, str) and name.isidentifier()):
        raise Fault(METADATA, f"func_name is no name of a function: {name!r:.60}")
    cases = tuple(case for field, tests in ((PUBLIC, public), (PRIVATE, private)) for case in _cases(field, tests))
    if not cases:
        raise Fault(PUBLIC, "there is no test")
    return Problem(name, cases)


def _cases(field: str, tests: Any) -> list[tuple[str, str]]:
    if not isinstance(tests, list):
        raise Fault(field, "a list of tests is expected")
    for test in tests:
        if not (isinstance(test, dict) and all(isinstance(test.get(key), str) for key in ("input", "output"))):
            raise Fault(field, "a test needs the texts input and output")
    return [(test["input"], test["output"]) for test in tests]


class _Texts(pickle.Unpickler):
    """Reads texts, numbers, lists and dictionaries; a class or a function is refused before it is looked up."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Raise UnpicklingError."""
        raise pickle.UnpicklingError(f"{module_name}.{global_name} is not admitted")


def _unpacked(text: str) -> Any:
    """The tests of a field in LiveCodeBench's short form: JSON as pickled text, compressed, in base64. Raises Fault."""
    try:
        stream = zlib.decompressobj()
        packed = stream.decompress(base64.b64decode(text, validate=True), LARGEST)
        inner = _Texts(io.BytesIO(packed)).load() if stream.eof else None
        tests = json.loads(inner) if isinstance(inner, str) else None
    except Exception as error:  # noqa: BLE001 - a pickle may hold anything
        why = f"neither JSON nor LiveCodeBench's packed form ({type(error).__name__}: {error})"
        raise Fault(PRIVATE, why) from None
    if not stream.eof:
        raise Fault(PRIVATE, f"the tests are torn, or larger than {LARGEST >> 20:,} MB")
    if not isinstance(inner, str):
        raise Fault(PRIVATE, "a pickled text is expected")
    return tests


def program_of(text: str) -> str | None:
    """The last fenced block of a text; None where there is none, or where it is never closed."""
    mark, start, last = "", 0, None
    for fence in _FENCE.finditer(text):
        if not mark:
            mark, start, last = fence[1], fence.end() + 1, None
        elif fence[1].startswith(mark) and not fence[2].strip():
            last, mark = text[start : max(start, fence.start() - 1)], ""
    return last if last and last.strip() else None


class LiveCodeBench:
    """The verifier: right where every test passes."""

    @staticmethod
    def extract_output(output: str) -> str | None:
        """The program of an answer."""
        return program_of(output.replace("\r\n", "\n"))

    @staticmethod
    def _verify_correction(solution: str, identity: Mapping[str, Any]) -> bool:
        """Run the program on all tests, and stop at the first that fails. identity: place of the problem's row."""
        return passes(solution, problem_of(row_at(identity)))


def row_at(place: Mapping[str, Any]) -> Mapping[str, Any]:
    """The row at an offset of a file. Raises ValueError where it is another one by now, OSError where it is gone."""
    with Path(place["path"]).open("rb") as lines:
        lines.seek(place["offset"])
        line = lines.readline()
    if hashlib.sha256(line).hexdigest() != place["sha256"]:
        raise ValueError(f"{place['path']} was changed since the question was asked")
    row: Mapping[str, Any] = json.loads(line)
    return row


def passes(source: str, problem: Problem) -> bool:
    """Tells whether a program passes all tests."""
    with tempfile.TemporaryDirectory(prefix="batchflow-") as folder:
        program = Path(folder) / "program.py"
        program.write_text(source, "utf-8", "replace")
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            runs = (pool.submit(_passes, program, problem.function, *case) for case in problem.cases)
            return all(run.result() for run in list(runs))
        finally:
            pool.shutdown(cancel_futures=True)


def _passes(program: Path, function: str | None, given: str, expected: str) -> bool:
    output = run(program, function, given)
    if output is None:
        return False
    if function is None:
        return same_text(output, expected)
    try:
        return same_value(json.loads(output), json.loads(expected))
    except ValueError:
        return False


def run(program: Path, function: str | None, given: str) -> str | None:
    """The output of a program for one input; None where it raises, is killed, or takes longer than a test may."""
    with (
        tempfile.TemporaryDirectory(dir=program.parent) as folder,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as questions,
    ):
        questions.write(given.encode("utf-8", "replace"))
        questions.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", str(PROGRAM), str(program), *([function] if function else [])],
            cwd=folder, env={"PYTHONHASHSEED": "0"}, stdin=questions, stdout=out, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(TEST_S)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        return out.read().decode("utf-8", "replace") if code == 0 else None


def same_text(output: str, expected: str) -> bool:
    """Tells whether two outputs have the same lines; a line of numbers is the same as one of equal numbers."""
    lines, wanted = ([line.strip() for line in text.strip().split("\n")] for text in (output, expected))
    return len(lines) == len(wanted) and all(
        line == other or (bool(numbers := _numbers(line)) and numbers == _numbers(other))
        for line, other in zip(lines, wanted, strict=True)
    )


def _numbers(line: str) -> list[Decimal] | None:
    try:
        return [Decimal(word) for word in line.split()]
    except InvalidOperation:
        return None


def same_value(value: Any, expected: Any) -> bool:
    """Tells whether two JSON values are equal; true is not 1."""
    if isinstance(value, list) and isinstance(expected, list):
        return len(value) == len(expected) and all(map(same_value, value, expected))
    if isinstance(value, dict) and isinstance(expected, dict):
        return value.keys() == expected.keys() and all(same_value(value[key], expected[key]) for key in value)
    return isinstance(value, bool) == isinstance(expected, bool) and bool(value == expected)
