"""Killed anywhere, run again: the same end as if nothing had happened. `scripts/crash_drill` makes every cut."""

from __future__ import annotations

import pytest
from crash.bench import Failed
from crash.drill import Cut, Drill, sample
from helpers.gateway import GATEWAY

from batchflow.settings import VENDORS

# cuts in each run of the suite: everywhere at one vendor; at the others where the vendor's own calls are
CUTS = dict.fromkeys(VENDORS, 6) | {VENDORS[0]: 40, GATEWAY: 3}
SEED = 2
STORE_CUTS = {"delete": 4, "others": 6}


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


def test_a_cut_at_the_store_leaves_nothing_that_running_again_does_not_mend(drill_of):
    drill = drill_of(VENDORS[0], has_store=True)
    at_store = [cut for cut in drill.cuts if cut.kind == "store"]
    assert {cut.text.split()[2] for cut in at_store} == {"put", "get", "delete"}
    deletes = [cut for cut in drill.cuts if cut.verb == "delete"]
    others = [cut for cut in at_store if cut not in deletes]
    cuts = sample(others, STORE_CUTS["others"], SEED) + sample(deletes, STORE_CUTS["delete"], SEED)
    assert {"prepare", "start", "results", "jury", "delete"} <= {cut.verb for cut in cuts}
    assert failures(drill, cuts) == []


@pytest.mark.parametrize("vendor", CUTS)
def test_a_cut_leaves_nothing_that_running_again_does_not_mend(vendor, drill_of):
    drill = drill_of(vendor)
    cuts = sampled(drill, vendor)
    kinds = {cut.kind for cut in drill.cuts} if vendor == VENDORS[0] else {"call", "effect"}
    assert {cut.kind for cut in cuts} == kinds
    assert len(cuts) == CUTS[vendor]
    found = failures(drill, cuts)
    assert not found, f"{len(found)} of {len(cuts)} cuts:\n" + "\n\n".join(found)
