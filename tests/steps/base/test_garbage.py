from __future__ import annotations

import gc

import pytest

from batchflow.steps.base.garbage import few_collections


def test_full_collections_are_left_out_and_come_back_whatever_happens():
    before = gc.get_threshold()

    @few_collections()
    def broken():
        with few_collections():
            assert gc.get_threshold()[2] > 1_000_000
        assert gc.get_threshold()[2] > 1_000_000
        raise ValueError

    with pytest.raises(ValueError):
        broken()
    assert gc.get_threshold() == before


def test_a_program_that_collects_nothing_is_left_alone():
    before = gc.get_threshold()
    try:
        gc.set_threshold(0)
        with few_collections():
            assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)
