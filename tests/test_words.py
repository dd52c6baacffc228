"""The words of the sources: names of local variables are nouns, docstrings open with a noun or a verb."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import batchflow

SOURCES = Path(batchflow.__file__).parent
HIDING = frozenset({"made", "told", "found", "said", "took", "got", "asked"})
"""Names that hide a noun of the domain: `parts`, `reply`, `counts` say what it is."""

OPENINGS = re.compile(r"(What|Which|How|Whether|Let|Who|Where|When|Why|If)\b")


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(SOURCES.rglob("*.py")):
        if "_migrations" not in path.parts:
            yield str(path.relative_to(SOURCES)), ast.parse(path.read_text("utf-8"))


def bound(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Names that a function binds: parameters, targets, and names in patterns and handlers."""
    for each in ast.walk(node):
        match each:
            case ast.Name(id=name, ctx=ast.Store(), lineno=line) | ast.arg(arg=name, lineno=line):
                yield name, line
            case ast.MatchAs(name=str(name), lineno=line) | ast.ExceptHandler(name=str(name), lineno=line):
                yield name, line


def documented(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Docstrings of modules, classes, functions, attributes and constants."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for statement in node.body:
                match statement:
                    case ast.Expr(value=ast.Constant(value=str(text)), lineno=line):
                        yield text, line


def test_locals_and_parameters_are_nouns():
    functions = (
        (path, node)
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    )
    assert (
        sorted({f"{path}:{line} {name}" for path, node in functions for name, line in bound(node) if name in HIDING})
        == []
    )


def test_docstrings_open_with_a_noun_or_a_verb():
    openings = [
        f"{path}:{line} {text[:60]}"
        for path, tree in trees()
        for text, line in documented(tree)
        if OPENINGS.match(text)
    ]
    assert openings == []


def test_the_checks_see_what_they_forbid():
    tree = ast.parse('def f(told):\n    """What it is."""\n    for found in told:\n        lambda said: said')
    assert {name for name, _ in bound(tree)} & HIDING == {"told", "found", "said"}
    assert [text for text, _ in documented(tree) if OPENINGS.match(text)] == ["What it is."]
