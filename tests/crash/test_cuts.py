"""Killed anywhere, run again: the same end as if nothing had happened. `scripts/crash_drill` makes every cut."""

from __future__ import annotations

import pytest
from crash.bench import Failed
from crash.drill import Drill, sample

from batchflow.settings import VENDORS

# cuts in each run of the suite
CUTS = dict.fromkeys(VENDORS, 11) | {VENDORS[0]: 45}
SEED = 2


def failures(drill: Drill, cuts) -> list[str]:
    found = []
    for cut in cuts:
        try:
            drill.cut(cut, whole_way=False)
        except Failed as failed:
            found.append(str(failed))
    return found


@pytest.mark.parametrize("vendor", CUTS)
def test_a_cut_leaves_nothing_that_running_again_does_not_mend(vendor, drill_of):
    drill = drill_of(vendor)
    cuts = sample(drill.cuts, CUTS[vendor], SEED)
    found = failures(drill, cuts)
    assert not found, f"{len(found)} of {len(cuts)} cuts:\n" + "\n\n".join(found)


def test_at_least_a_hundred_cuts_are_made():
    assert sum(CUTS.values()) >= 100
    assert set(CUTS) == set(VENDORS)
