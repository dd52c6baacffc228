"""Process that runs somebody else's verifier class: JSON lines in, JSON lines out. It imports nothing of this project.

Started as `python -I child.py FILE CLASS MEMORY_MB`. Whatever the class prints goes nowhere; CLASS is empty where each
row names its own by `data_source`, as InternBootcamp's runner looks it up.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import math
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

SUFFIX = "bootcamp"
LONGEST_REASON = 300
LONGEST_OUTPUT = 10_000
_QUIET = {"short_penalty": False, "format_penalty": False}
"""Penalties of `verify_score` that InternBootcamp's runner switches off."""


def main() -> None:
    """Answer each line of the standard input by one line of the standard output, until it ends."""
    source, name, memory_mb = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    lines, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    limit(memory_mb)
    try:
        module = load(source)
        if name:
            _class(module, name)
        reply: dict[str, Any] = {"loaded": True}
    except BaseException as error:  # noqa: BLE001 - somebody else's module
        reply = {"error": reason(error)}
    replies.write(json.dumps(reply).encode() + b"\n")
    if "error" in reply:
        return
    for line in lines:
        row = json.loads(line)
        try:
            value, extracted = score(_class(module, name or named_by(module, row["data_source"])), row)
            reply = {"value": value, "extracted": plain(extracted)}
        except BaseException as error:  # noqa: BLE001 - also SystemExit: the row has no verdict, and the next one may have
            reply = {"error": reason(error)}
        replies.write(json.dumps(reply).encode() + b"\n")


def limit(memory_mb: int) -> None:
    """Bound the memory of this process, where the system can."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        return


def load(path: Path) -> ModuleType:
    """The module in a file, which may import its neighbours."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def named_by(module: ModuleType, data_source: str) -> str:
    """The class of a row's data source: its name with `bootcamp` behind it; upper and lower case may differ."""
    wanted = data_source + SUFFIX
    near = [name for name in vars(module) if name.lower() == wanted.lower()]
    if wanted not in near and len(near) != 1:
        raise LookupError(f"there is no class {wanted}")
    return wanted if wanted in near else near[0]


def _class(module: ModuleType, name: str) -> type:
    verifier = getattr(module, name, None)
    if not inspect.isclass(verifier):
        raise LookupError(f"there is no class {name}")
    if not any(hasattr(verifier, verb) for verb in ("_verify_correction", "verify_score")):
        raise LookupError(f"class {name} has neither verify_score nor _verify_correction")
    return verifier


def score(verifier: type, row: dict[str, Any]) -> tuple[float, Any]:
    """Value of one answer, 0 to 1, and what was extracted of it; 0 and None where nothing can be extracted.

    Raises ValueError, and whatever the class raises.

    `verify_score` of InternBootcamp's base class takes every exception for a wrong answer, so its parts are called.
    """
    text, truth = row["answer"], row["ground_truth"]
    solution = None
    if hasattr(verifier, "_verify_correction") and hasattr(verifier, "extract_output"):
        solution = _bound(verifier, "extract_output")(text)
        result = 0.0 if solution is None else _bound(verifier, "_verify_correction")(solution, truth)
    else:
        verify = _bound(verifier, "verify_score")
        known = inspect.signature(verify).parameters
        result = verify(text, truth, **{name: value for name, value in _QUIET.items() if name in known})
    value = float(result)
    if isinstance(result, str) or not math.isfinite(value) or not 0 <= value <= 1:
        raise ValueError(f"{result!r} is not a score between 0 and 1")
    return value, solution


def plain(extracted: Any) -> Any:
    """The extracted output as JSON can hold it: itself, else its text; None where it has none, cut where it is long."""
    try:
        text = json.dumps(extracted, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        try:
            return str(extracted)[:LONGEST_OUTPUT]
        except Exception:  # noqa: BLE001 - somebody else's class
            return None
    return json.loads(text) if len(text) <= LONGEST_OUTPUT else text[:LONGEST_OUTPUT]


def _bound(verifier: type, name: str) -> Any:
    """A method of the class; of an instance where it is neither a class method nor a static one."""
    raw = inspect.getattr_static(verifier, name)
    return getattr(verifier if isinstance(raw, (staticmethod, classmethod)) else verifier(), name)


def reason(error: BaseException) -> str:
    """The error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:LONGEST_REASON]


if __name__ == "__main__":
    main()
