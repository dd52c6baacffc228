"""The vendors that can be rehearsed: those that `settings.ACCESS` knows and whose protocol has a module here.

Importing this module imports none of them.
"""

from __future__ import annotations

from importlib.util import find_spec

from batchflow.settings import ACCESS

MODULES: dict[str, str] = {
    vendor: module
    for vendor, access in ACCESS.items()
    if find_spec(module := f"batchflow.rehearsal.protocols.{access.speaks or vendor}") is not None
}
