"""The layouts by name. mypy checks each against the protocol at the line that names it.

A package of somebody else's adds one with an entry point of the group `batchflow.layouts`.
"""

from __future__ import annotations

from pathlib import Path

from batchflow.errors import DataError, UsageError
from batchflow.layouts import inspect_samples, internbootcamp, layton, mixeval, opencompass, table
from batchflow.layouts.base import Layout, Reader
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

READ_ONLY: tuple[Reader, ...] = (inspect_samples,)
"""Files of other tools that are read and not written as layouts: `export` writes them."""

names, get = REGISTRY.names, REGISTRY.get


def of(path: Path) -> Reader:
    """The reader of a file or folder; files that none recognises are the default's. Raises DataError for a folder."""
    for reader in READ_ONLY:
        if reader.recognises(path):
            return reader
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
