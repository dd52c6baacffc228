"""Rule `close`: right within the tolerance that the item's row names."""

from __future__ import annotations

from batchflow.judges.base import Known

NAME = "close"
COLUMNS = True
PROVES_WRONG = False


def verify(answer: str, known: Known) -> bool | float | None:
    if not answer.isdecimal():
        return None
    return abs(int(answer) - int(known.references[0])) <= int(known.columns["within"])  # "?" fails, as rules may
