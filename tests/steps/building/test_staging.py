"""The order in which items are sent in stages: random, seeded, whole clusters, the same everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.score import sequential
from batchflow.steps.building import staging
from batchflow.steps.building.staging import Staging, order

UNITS = st.lists(st.sampled_from([f"u{n}" for n in range(30)]), min_size=1, max_size=200)


@given(UNITS, st.integers(0, 5), st.integers(1, 40))
def test_every_item_is_in_one_stage_and_units_are_whole(units, seed, first):
    drawn = order(units, Staging(seed=seed, first=first))
    counts = [sum(stage <= number for stage in drawn.of_item) for number in range(len(drawn.ends))]
    assert tuple(counts) == drawn.ends
    assert drawn.ends[-1] == len(units)
    assert len({(unit, stage) for unit, stage in zip(units, drawn.of_item, strict=True)}) == len(set(units))
    assert drawn.largest == max(units.count(unit) for unit in units)


def test_the_stages_are_those_of_the_simulation():
    units = [str(n) for n in range(2_000)]
    assert order(units, Staging()).ends == sequential.stages(2_000)
    assert (staging.FIRST, staging.GROWTH) == (sequential.FIRST, sequential.GROWTH)


def test_the_same_seed_gives_the_same_order_whatever_the_order_of_the_file():
    units = [f"item {n}" for n in range(300)]
    one = dict(zip(units, order(units, Staging(seed=1)).of_item, strict=True))
    again = dict(zip(reversed(units), order(units[::-1], Staging(seed=1)).of_item, strict=True))
    other = dict(zip(units, order(units, Staging(seed=2)).of_item, strict=True))
    assert one == again != other
    assert [name for name in units if one[name] == 0][:4] == ["item 5", "item 7", "item 14", "item 31"]  # for ever


@pytest.mark.parametrize("seed", range(3))
def test_a_stage_is_a_sample_and_no_beginning_of_the_file(seed):
    first = [
        n for n, stage in enumerate(order([str(n) for n in range(1_000)], Staging(seed=seed)).of_item) if not stage
    ]
    assert 380 < sum(first) / len(first) < 620  # ± 3 standard errors
