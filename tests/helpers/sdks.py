"""The vendors' SDKs, as the contract in pyproject.toml that keeps them in their vendors' files names them."""

from __future__ import annotations

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))

MODULES = next(
    frozenset(contract["forbidden_modules"])
    for contract in _PROJECT["tool"]["importlinter"]["contracts"]
    if contract["name"] == "SDKs live in their vendor files"
)
