"""The vendors' side and the warm parent, once for all crash tests of a process."""

from __future__ import annotations

import pytest
from crash.drill import Drill
from crash.rehearsed import vendors
from crash.runs import bare, nursery


@pytest.fixture(scope="session")
def rehearsed():
    with vendors() as made:
        yield made


@pytest.fixture(scope="session")
def forked():
    with nursery(bare()) as made:
        yield made


@pytest.fixture
def drill_of(tmp_path, rehearsed, forked):
    """A factory: the drill of a vendor, its uncut run done."""

    def make(vendor: str, **facts: bool) -> Drill:
        return Drill(vendor, tmp_path / vendor, rehearsed, forked, **facts)

    return make
