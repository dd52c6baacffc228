from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from helpers import browser as chromium


@pytest.fixture(scope="session")
def _chromium():
    with chromium.running() as running:
        yield running


@pytest.fixture
def browser(_chromium):
    """A headless Chromium in a window of a desk's size, in light colours."""
    _chromium.look()
    return _chromium


@pytest.fixture(scope="session")
def axe():
    """The script of axe-core, which a wheel carries."""
    spec = find_spec("axe_playwright_python")
    assert spec, "pip install --no-deps axe-playwright-python brings axe-core, by which this test looks at the page"
    return (Path(str(spec.origin)).parent / "axe.min.js").read_text("utf-8")
