"""A few of `scripts/cost_drill`'s runs: a cap is never passed, and the ledger's bill is the vendors'."""

from __future__ import annotations

from collections import Counter

from crash.spending import spend


def test_no_run_passes_its_cap(tmp_path, rehearsed, forked):
    counted = Counter()
    for seed in (1, 5):
        counted.update(spend(seed, tmp_path / str(seed), rehearsed, forked).counted)
    assert counted["sent"] >= 2
    assert counted["compared"] + counted["open"] == 2
