"""The vendors that can be rehearsed: those that `settings.ACCESS` knows and that have a module of their name here.

Importing this module imports none of them.
"""

from __future__ import annotations

from importlib.util import find_spec

from batchflow.settings import ACCESS

MODULES: dict[str, str] = {
    vendor: module for vendor in ACCESS if find_spec(module := f"batchflow.rehearsal.protocols.{vendor}") is not None
}
