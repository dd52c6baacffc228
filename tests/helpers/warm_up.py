"""Every verb once in this process: its forks find the modules loaded and the statements compiled."""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from pathlib import Path

from helpers import compiled  # noqa: F401 - from here on, statements are compiled once
from helpers.rehearsed import rehearsed


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


def learn(modules: Path) -> None:
    """Import what a child had to import, so that its successors need not."""
    if not modules.exists():
        return
    for name in modules.read_text().split():
        with contextlib.suppress(Exception):  # some modules cannot be imported by the name they go by
            importlib.import_module(name)
    modules.unlink()
