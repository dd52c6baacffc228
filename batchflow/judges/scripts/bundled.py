"""Rules that run as scripts in a verifier's process and come with batchflow: `livecodebench`."""

from __future__ import annotations

from pathlib import Path

from batchflow.errors import UsageError
from batchflow.judges.scripts.sandbox import MEMORY_MB, Script

LIVECODEBENCH = "livecodebench"
_CLASSES = {LIVECODEBENCH: "LiveCodeBench"}
ANSWER_S = 1_800.0
"""For all tests of one answer; each test has its own, shorter limit."""
PERMISSION = "run_programs"
"""Key of `[verifier]` without which no program of a model runs."""


def named(rule: str, *, allowed: bool, memory_mb: float = MEMORY_MB) -> Script | None:
    """The script of a rule; None for one that is no script. Raises UsageError where programs are not to run here."""
    if rule not in _CLASSES:
        return None
    if not allowed:
        raise UsageError(
            f"rule:{rule} runs programs that a model wrote, on this machine",
            hint=f"where you trust it with that: [verifier] {PERMISSION} = true in batchflow.toml (docs/verifiers.md)",
        )
    path = Path(__file__).with_name(f"{rule}.py")
    return Script.of(f"{path}:{_CLASSES[rule]}", timeout_s=ANSWER_S, memory_mb=memory_mb)
