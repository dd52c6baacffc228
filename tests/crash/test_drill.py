"""The drill itself: it cuts where it says, whole processes and forked ones alike, and notices what it is there for."""

from __future__ import annotations

from collections import Counter

import pytest
from crash.bench import Failed
from crash.drill import Drill, sample
from crash.runs import whole


@pytest.fixture(scope="module")
def drill(tmp_path_factory, rehearsed, forked):
    return Drill("openai", tmp_path_factory.mktemp("drill"), rehearsed, forked)


def test_every_verb_and_every_kind_of_place_can_be_cut(drill):
    moments = {" ".join(cut.text.split()[:2]) for cut in drill.cuts if not cut.is_effect}
    both = {f"{kind} {when}" for kind in ("commit", "call", "rename") for when in ("before", "after")}
    assert moments == both | {"sync before", "remove before"}
    count = Counter(cut.verb for cut in drill.cuts)
    least = {"prepare": 8, "start": 30, "get": 30, "results": 30, "retry": 4, "jury": 50, "score": 50, "delete": 20}
    assert {verb: min(count[verb], n) for verb, n in least.items()} == least
    effects = Counter(cut.text for cut in drill.cuts if cut.is_effect)
    assert {text.split()[-1] for text in effects} == {"upload", "stat", "create", "poll", "download"}


def test_whole_processes_pass_the_same_places_and_mend_alike(drill):
    for number in (1, 4):  # start, results
        assert sorted(drill.places(number, whole)) == sorted(drill.places(number))
        of_stage = [cut for cut in drill.cuts if cut.stage == number]
        drill.cut(of_stage[len(of_stage) // 2], run=whole, whole_way=False)
    drill.cut(first_create(drill), run=whole, whole_way=False)


def first_create(drill):
    """The cut behind the effect of the pipeline's first create."""
    return next(cut for cut in drill.cuts if cut.is_effect and cut.text.endswith("create"))


def test_a_request_that_is_sent_twice_is_noticed(drill, rehearsed, monkeypatch):
    remember = rehearsed.remember

    def forgetful(folder, script=()):
        """The vendor lists no batch: what it accepted cannot be found again."""
        remember(folder, script)
        rehearsed.site.jobs = lambda _vendor: []

    monkeypatch.setattr(rehearsed, "remember", forgetful)
    with pytest.raises(Failed, match="sent more than once"):
        drill.cut(first_create(drill))


def test_a_sample_is_seeded_and_leaves_no_verb_and_no_kind_of_place_out(drill):
    cuts = drill.cuts
    chosen = sample(cuts, 40, 1)
    assert chosen == sample(cuts, 40, 1) != sample(cuts, 40, 2)
    assert len(set(chosen)) == 40
    assert {(cut.verb, cut.kind) for cut in chosen} == {(cut.verb, cut.kind) for cut in cuts}
