"""Checks of heavy engines; scripts/test-engines installs them and names these files, the suite does not."""

from __future__ import annotations

import os

import pytest

MODEL = os.environ.get("BATCHFLOW_ENGINES_MODEL", "")  # read before the suite's conftest empties the environment


@pytest.fixture(scope="session")
def model():
    """The small default model as a GGUF file: OpenVINO's reader wants a real vocabulary."""
    assert MODEL, "scripts/test-engines sets BATCHFLOW_ENGINES_MODEL"
    return MODEL
