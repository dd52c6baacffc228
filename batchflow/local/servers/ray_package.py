"""Ray as a package: is it here, and which cluster is meant."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata

from batchflow.errors import EngineError, install_extra

OWN = "local"
"""Ray's word for a new cluster on this machine."""


def version() -> str:
    """The installed version. Raises EngineError without it."""
    try:
        return metadata.version("ray")
    except metadata.PackageNotFoundError:
        raise EngineError("the engine ray is not installed", hint=install_extra("ray")) from None


def address(given: str, environment: Mapping[str, str]) -> str:
    """The cluster to join: as given, else Ray's own variable, else a new one on this machine."""
    return given or environment.get("RAY_ADDRESS", "") or OWN
