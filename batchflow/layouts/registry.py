"""The layouts by name. mypy checks each against the protocol at the line that names it.

A package of somebody else's adds one with an entry point of the group `batchflow.layouts`.
"""

from __future__ import annotations

from pathlib import Path

from batchflow.errors import DataError, UsageError
from batchflow.layouts import internbootcamp, layton, mixeval, opencompass, table
from batchflow.layouts.base import Layout
from batchflow.registries import Registry

LAYOUTS: dict[str, Layout] = {
    "layton": layton,
    "csv": table,
    "internbootcamp": internbootcamp,
    "mixeval": mixeval,
    "opencompass": opencompass,
}
REGISTRY = Registry("batchflow.layouts", "layout", LAYOUTS, Layout, "layouts")
DEFAULT = layton
"""The layout of `results/`, and of files that no other layout recognises."""

names, get = REGISTRY.names, REGISTRY.get


def of(path: Path) -> Layout:
    """The layout of a file or folder; files that none recognises are the default's. Raises DataError for a folder."""
    for name in names():
        if name != DEFAULT.NAME and (layout := _loaded(name)) is not None and layout.recognises(path):
            return layout
    if path.is_dir():
        raise DataError(f"{path}: no layout recognises this folder", hint=f"layouts: {', '.join(names())}")
    return DEFAULT


def _loaded(name: str) -> Layout | None:
    """The layout of that name; None for one that cannot be loaded, which must not stop the reading of other files."""
    try:
        return get(name)
    except UsageError:
        return None
