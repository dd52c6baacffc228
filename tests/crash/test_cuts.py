"""Killed anywhere, run again: the same end as if nothing had happened. `scripts/crash_drill` makes every cut."""

from __future__ import annotations

import pytest
from crash.bench import Failed
from crash.drill import Cut, Drill, sample

from batchflow.settings import VENDORS

# cuts in each run of the suite: everywhere at one vendor; at the others where the vendor's own calls are
CUTS = dict.fromkeys(VENDORS, 6) | {VENDORS[0]: 40}
SEED = 2


def sampled(drill: Drill, vendor: str) -> list[Cut]:
    cuts = [cut for cut in drill.cuts if vendor == VENDORS[0] or cut.kind in {"call", "effect"}]
    return sample(cuts, CUTS[vendor], SEED)


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
    cuts = sampled(drill, vendor)
    kinds = {cut.kind for cut in drill.cuts} if vendor == VENDORS[0] else {"call", "effect"}
    assert {cut.kind for cut in cuts} == kinds
    assert len(cuts) == CUTS[vendor]
    found = failures(drill, cuts)
    assert not found, f"{len(found)} of {len(cuts)} cuts:\n" + "\n\n".join(found)
