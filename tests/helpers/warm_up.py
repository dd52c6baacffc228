"""Every verb once in this process: its forks find the modules loaded and the statements compiled."""

from __future__ import annotations

import contextlib
import gc
import importlib
import sys
import tempfile
from pathlib import Path

from helpers import compiled  # noqa: F401 - from here on, statements are compiled once
from helpers.rehearsed import rehearsed

TOKENIZER = "quicktok:"


def warm_up() -> None:
    with tempfile.TemporaryDirectory(prefix="bf-warm-up-") as folder, rehearsed(Path(folder)) as vendor:
        vendor.project.environment["BATCHFLOW_HOME"] = folder
        vendor.fault("errors", call="job", fraction=0.5)
        vendor.finished("b")
        for words in (
            ("retry", "b", "--start"),
            ("jury", "results/b.jsonl", "--judges", "rule:exact", "--wait", "--refresh-after", 0),
            ("score", "b", "--field-name", "is_answer_correct", "--resamples", 2),
            ("list",),
            ("show", "b"),
            ("ledger", "check"),
            ("delete", "b"),
        ):
            vendor.project.run(*words)
    settle()


def loaded() -> set[str]:
    """The modules and the tokenizers of this process; a tokenizer takes a second, and goes by `quicktok:NAME`."""
    tokenizers = getattr(sys.modules.get("quicktok"), "_CACHE", {})
    return {*sys.modules, *(f"{TOKENIZER}{name}" for name, _ in tokenizers)}


def teach(parent: Path, known: set[str]) -> None:
    """Tell the parent what this child had to load beyond what is known."""
    if fresh := loaded() - known:
        parent.write_text(" ".join(sorted(fresh)))


def learn(child: Path) -> None:
    """Load what a child had to load, so that its successors need not."""
    if not child.exists():
        return
    for name in child.read_text().split():
        with contextlib.suppress(Exception):  # some modules cannot be imported by the name they go by
            if name.startswith(TOKENIZER):
                importlib.import_module("quicktok").get_encoding(name.removeprefix(TOKENIZER))
            else:
                importlib.import_module(name)
    child.unlink()
    settle()


def settle() -> None:
    """Keep the collector of a fork away from what is here now: it would copy the pages of all of it."""
    gc.collect()
    gc.freeze()
