"""A run that is killed anywhere goes on by the same command, and pays for each part once (scripts/run_drill)."""

from __future__ import annotations

import pytest
from crash.bench import Failed
from crash.drill import sample
from crash.runs_drill import STAGES, RunsDrill
from helpers.engine import serving

CUTS = {"openai": 5, "anthropic": 1}
SEED = 3


def failures(drill, most):
    found = []
    for cut in sample(drill.cuts, most, SEED):
        try:
            drill.cut(cut)
        except Failed as failed:
            found.append(str(failed))
    return found


@pytest.mark.parametrize("vendor", CUTS)
def test_a_killed_run_goes_on_and_every_part_is_billed_once(vendor, tmp_path, rehearsed, forked):
    drill = RunsDrill(vendor, tmp_path / vendor, rehearsed, forked)
    assert sum(drill.end.creates) == 5 + 1 + 5  # questions, the one that failed, a judge
    found = failures(drill, CUTS[vendor])
    assert not found, "\n\n".join(found)


def test_a_killed_run_in_stages_goes_on_and_no_stage_is_sent_twice_or_left_out(tmp_path, rehearsed, forked):
    drill = RunsDrill("openai", tmp_path / "staged", rehearsed, forked, more=STAGES)
    assert sum(drill.end.creates) == 5 + 1 + 5
    assert len(drill.end.creates) == 3 + 1 + 3
    found = failures(drill, 2)
    assert not found, "\n\n".join(found)


def test_on_an_engine_of_ones_own_every_request_is_asked_once(tmp_path, rehearsed, forked):
    with serving("own") as engine:
        drill = RunsDrill("local", tmp_path / "local", rehearsed, forked, engine)
        assert drill.end.asked == 5
        found = failures(drill, 2)
        assert not found, "\n\n".join(found)
