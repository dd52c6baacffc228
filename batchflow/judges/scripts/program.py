"""Process that runs one program of a model: it reads stdin, or calls a function. It imports nothing of this project.

Started as `python -I program.py SOURCE [FUNCTION]`. With a function, each line of stdin is an argument in JSON, and the
result goes to stdout as JSON; what the program prints goes nowhere then. The exit code is 0 unless the program raises.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import ModuleType

LARGEST_FILE = 64 << 20
DEEPEST = 600_000
PRELUDE = (
    "string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics", "itertools",
    "functools", "operator", "io", "sys", "json", "builtins", "typing",
)  # fmt: skip
"""Modules that a program finds imported, with all their names, as LiveCodeBench's runner has it."""


def main() -> None:
    """Run the program, and call its function if one is named."""
    limit()
    sys.setrecursionlimit(DEEPEST)
    source = Path(sys.argv[1]).read_text("utf-8")
    function = sys.argv[2] if len(sys.argv) > 2 else ""
    reply = os.dup(1)
    if function:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    arguments = [json.loads(line) for line in sys.stdin.read().split("\n")] if function else []
    module = loaded(source, "program" if function else "__main__")
    if function:
        owner = module.Solution() if hasattr(module, "Solution") else module
        result = json.dumps(getattr(owner, function)(*arguments))
        os.write(reply, result.encode())


def limit() -> None:
    """Bound the files that the program writes, and write none where it crashes; memory is bounded by its parent."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        return


def loaded(source: str, name: str) -> ModuleType:
    """The program as a module that has been run; one that leaves by `exit()` has ended well."""
    module = sys.modules[name] = ModuleType(name)
    lines = [f"from {each} import *\nimport {each}" for each in PRELUDE if each != "builtins"]
    exec("\n".join([*lines, "from builtins import *"]), module.__dict__)  # noqa: S102 - names of the standard library
    try:
        exec(compile(source, "program.py", "exec"), module.__dict__)  # noqa: S102 - what this process is for
    except SystemExit:
        sys.stdout.flush()
    return module


if __name__ == "__main__":
    main()
