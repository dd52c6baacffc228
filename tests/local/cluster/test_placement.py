"""How replicas are kept: asked for, replaced, given up. The cluster is a list of news here, and the clock a number."""

import pytest

from batchflow.errors import EngineError
from batchflow.local.cluster.placement import REST_S, TRIES, Joined, Left, News, Note, Placement
from batchflow.local.cluster.replica import Served


class Cluster:
    """A cluster whose news a test writes."""

    def __init__(self):
        self.asked, self.ended, self.coming = 0, [], []

    def launch(self):
        self.asked += 1
        return self.asked

    def news(self, timeout_s):
        coming, self.coming = self.coming, []
        return coming

    def end(self, handle):
        self.ended.append(handle)

    def shortage(self):
        return "a replica needs 1 GPU, and there is none"


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def clock():
    return Clock()


def served(number):
    return Served(url=f"http://n{number}/v1", key="k", model="m", node="n", identity=(), facts={})


def steps(placement, cluster, *coming):
    cluster.coming = list(coming)
    return list(placement.step())


def test_as_many_as_wanted_are_asked_for_and_a_dead_one_is_replaced(cluster, clock):
    placement = Placement(cluster, (1, 2), 600, clock)
    assert steps(placement, cluster, News(1, node="a"), News(1, served=served(1))) == [
        Note("a replica has a place on a and loads its model"),
        Joined(served(1)),
    ]
    assert cluster.asked == 2
    assert steps(placement, cluster, News(1, why="it died")) == [Left("http://n1/v1", "it died")]
    assert (cluster.ended, cluster.asked) == ([1], 2)
    assert steps(placement, cluster, News(1, why="told once more")) == []
    assert cluster.asked == 2  # one that ends as soon as it serves is not asked for without a rest
    clock.now += REST_S
    assert steps(placement, cluster) == []
    assert cluster.asked == 3
    assert steps(placement, cluster, News(3, served=served(3))) == [Joined(served(3))]


def test_starts_that_fail_wait_longer_each_time_once_one_has_served(cluster, clock):
    placement = Placement(cluster, (1, 2), 600, clock)
    steps(placement, cluster, News(1, node="a"), News(1, served=served(1)))
    waits = []
    for handle in range(2, 12):
        (note,) = steps(placement, cluster, News(handle, why="no room on its GPU"))
        assert note.text.endswith(": no room on its GPU")
        assert steps(placement, cluster) == []
        assert cluster.asked == handle
        waits.append(float(note.text.split(" in ")[1].split(" s")[0]))
        clock.now += waits[-1]
        steps(placement, cluster)
        assert cluster.asked == handle + 1
    assert waits[:3] == [0.5, 1.0, 2.0]
    assert waits[-1] == 60.0


def test_the_first_starts_that_all_fail_are_an_error_with_their_reason(cluster, clock):
    placement = Placement(cluster, (1, 1), 600, clock)
    for handle in range(1, TRIES):
        assert len(steps(placement, cluster, News(handle, why="no such model", hint="a path"))) == 1
        clock.now += 60
        steps(placement, cluster)
    with pytest.raises(EngineError, match="no replica could be started: no such model") as caught:
        steps(placement, cluster, News(TRIES, why="no such model", hint="a path"))
    assert caught.value.hint == "a path"


def test_nothing_placed_is_told_and_after_the_patience_an_error(cluster, clock):
    placement = Placement(cluster, (1, 1), 600, clock)
    assert steps(placement, cluster) == []
    clock.now = 30
    assert steps(placement, cluster) == [Note(f"1 of 1 replicas wait for a place: {cluster.shortage()}")]
    assert steps(placement, cluster) == []
    clock.now = 601
    with pytest.raises(EngineError, match="0 of 1 replicas have a place after 601 s: a replica needs 1 GPU"):
        steps(placement, cluster)


def test_a_place_is_patience_enough_however_long_the_model_loads(cluster, clock):
    placement = Placement(cluster, (1, 1), 600, clock)
    steps(placement, cluster, News(1, node="a"))
    clock.now = 5000
    assert steps(placement, cluster, News(1, served=served(1))) == [Joined(served(1))]
    assert steps(placement, cluster, News(1, why="it died")) == [Left("http://n1/v1", "it died")]
    clock.now = 5500
    assert len(steps(placement, cluster)) == 1
    assert cluster.asked == 2


def test_too_few_to_begin_with_are_an_error_and_too_few_to_go_on_are_only_told(cluster, clock):
    for begun in (False, True):
        cluster.asked = clock.now = 0
        placement = Placement(cluster, (2, 3), 600, clock)
        first = [News(1, node="a"), News(1, served=served(1))]
        steps(placement, cluster, *first, *([News(2, node="a"), News(2, served=served(2))] if begun else []))
        clock.now = 20
        (note,) = steps(placement, cluster)
        assert note.text.startswith(f"{1 if begun else 2} of 3 replicas wait for a place: ")
        clock.now = 700
        if begun:
            assert steps(placement, cluster) == []
            steps(placement, cluster, News(1, why="died"), News(2, why="died"))
            clock.now = 1301
        with pytest.raises(EngineError, match=r"of 3 replicas have a place after [67]"):
            steps(placement, cluster)
