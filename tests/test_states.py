from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow.states import FINAL, MOVES, Event, Stage, State, diagram, stage


def reachable(start):
    seen = {start}
    while grown := {after for befores, after in MOVES.values() if befores & seen} - seen:
        seen |= grown
    return seen


def test_every_event_has_its_move():
    assert set(MOVES) == set(Event)


def test_every_state_is_reachable_from_the_first():
    assert reachable(State.PREPARED) == set(State)


def test_what_is_final_stays_and_what_is_not_can_reach_it():
    """But for what is lost: a wrong place looks like a loss, and what is found again goes on."""
    for state in State:
        assert (reachable(state) == {state}) == (state in FINAL - {State.LOST})
        assert reachable(state) & FINAL
    assert [event for event, (befores, _) in MOVES.items() if State.LOST in befores] == [Event.ADOPT]


def test_nothing_is_sent_but_after_a_claim_and_an_intent():
    """The create's effect lives in `running`; every way into it leads through `sending`."""
    into = {event: befores for event, (befores, after) in MOVES.items() if after is State.RUNNING}
    assert into == {Event.ACCEPT: {State.SENDING}, Event.ADOPT: {State.SENDING, State.UNSURE, State.LOST}}
    assert [event for event, (_, after) in MOVES.items() if after is State.SENDING] == [Event.SEND]
    assert MOVES[Event.SEND][0] == {State.STARTING}


def test_what_may_have_been_paid_goes_back_only_where_nothing_ran_or_by_name():
    back = {e: befores for e, (befores, after) in MOVES.items() if after is State.PREPARED}
    paid = {State.SENDING, State.RUNNING, State.ENDED, State.FETCHED, State.UNSURE, State.LOST}
    assert {e for e, befores in back.items() if befores & paid} == {Event.RELEASE, Event.BOUNCE, Event.RESEND}


def test_the_diagram_has_one_arrow_for_each_legal_move():
    arrows = re.findall(r"^    (\w+) --> (\w+): (\w+)$", diagram(), re.MULTILINE)
    assert {(State(a), State(b), Event(e)) for a, b, e in arrows} == {
        (before, after, event) for event, (befores, after) in MOVES.items() for before in befores
    }
    assert len(arrows) == len(set(arrows))
    assert diagram().startswith("stateDiagram-v2\n    [*] --> prepared\n")


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([State.PREPARED], Stage.PREPARED),
        ([State.PREPARED, State.CANCELLED], Stage.PREPARED),
        ([State.STARTING], Stage.STARTING),
        ([State.PREPARED, State.SENDING], Stage.STARTING),
        ([State.STARTING, State.RUNNING], Stage.RUNNING),
        ([State.PREPARED, State.RUNNING], Stage.RUNNING),
        ([State.ENDED, State.RUNNING], Stage.RUNNING),
        ([State.PREPARED, State.FETCHED], Stage.RUNNING),
        ([State.ENDED, State.FETCHED], Stage.ENDED),
        ([State.FETCHED, State.LOST, State.CANCELLED], Stage.FINISHED),
        ([State.REFUSED, State.RUNNING], Stage.NEEDS_YOU),
        ([State.UNSURE, State.FETCHED], Stage.NEEDS_YOU),
    ],
    ids=str,
)
def test_the_stage_of_a_batch(states, expected):
    assert stage(states) is expected


@given(st.lists(st.sampled_from(State), min_size=1))
def test_the_stage_does_not_depend_on_order_or_number(states):
    assert stage(states) is stage(reversed(states)) is stage(states * 2)
    assert (stage(states) is Stage.FINISHED) == (set(states) <= FINAL)


def test_a_batch_without_jobs_is_no_batch():
    with pytest.raises(ValueError, match="at least one job"):
        stage([])
