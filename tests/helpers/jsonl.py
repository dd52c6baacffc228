"""Files of JSON lines for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """One object a line."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    return path
