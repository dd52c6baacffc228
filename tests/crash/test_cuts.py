"""Killed anywhere, run again: the same end as if nothing had happened. `scripts/crash_drill` makes every cut."""

from __future__ import annotations

from collections import Counter

import pytest
from crash.bench import Failed
from crash.drill import Drill, sample
from crash.rehearsed import Vendors
from crash.runs import whole

# cuts in each run of the suite, a sixth of a second to a second each
CUTS = {"openai": 55, "anthropic": 9, "gemini": 9, "mistral": 9, "together": 9, "groq": 9}
SEED = 2


def failures(drill: Drill, cuts) -> list[str]:
    found = []
    for cut in cuts:
        try:
            drill.cut(cut)
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


def test_every_verb_and_every_kind_of_place_can_be_cut(drill_of):
    drill = drill_of("openai")
    moments = {" ".join(cut.text.split()[:2]) for cut in drill.cuts if not cut.is_effect}
    both = {f"{kind} {when}" for kind in ("commit", "call", "rename") for when in ("before", "after")}
    assert moments == both | {"sync before", "remove before"}
    count = Counter(cut.verb for cut in drill.cuts)
    least = {"prepare": 8, "start": 30, "get": 30, "results": 30, "retry": 4, "jury": 50, "score": 50, "delete": 20}
    assert {verb: min(count[verb], n) for verb, n in least.items()} == least
    effects = Counter(cut.text for cut in drill.cuts if cut.is_effect)
    assert {text.split()[-1] for text in effects} == {"upload", "stat", "create", "poll", "download"}


def test_whole_processes_pass_the_same_places_and_mend_alike(drill_of):
    drill = drill_of("openai")
    for number in (0, 1, 4):  # prepare, start, results
        assert sorted(drill.places(number, whole)) == sorted(drill.places(number))
        of_stage = [cut for cut in drill.cuts if cut.stage == number]
        drill.cut(of_stage[len(of_stage) // 2], run=whole)
    drill.cut(first_create(drill), run=whole)


def first_create(drill):
    """The cut behind the effect of the pipeline's first create."""
    return next(cut for cut in drill.cuts if cut.is_effect and cut.text.endswith("create"))


class Forgetful(Vendors):
    """Vendors that list no batch: what they accepted cannot be found again."""

    def remember(self, folder, script=()):
        super().remember(folder, script)
        self.site.jobs = lambda _vendor: []


def test_a_request_that_is_sent_twice_is_noticed(drill_of, rehearsed, monkeypatch):
    drill = drill_of("openai")
    monkeypatch.setattr(type(rehearsed), "remember", Forgetful.remember)
    with pytest.raises(Failed, match="sent more than once"):
        drill.cut(first_create(drill))
