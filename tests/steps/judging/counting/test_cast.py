"""Votes that are counted many at once come to what they come to one by one."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from batchflow.judges.base import BOOLEAN
from batchflow.ledger.votes import RIGHT, WRONG
from batchflow.steps.judging.counting.cast import VALUES, Verdicts

COUNT = 5


@given(
    st.lists(st.lists(st.tuples(st.integers(-1, COUNT - 1), st.sampled_from(sorted(VALUES))), max_size=8), max_size=4)
)
def test_blocks_of_votes(blocks):
    """-1: on an answer that is none any more; it counts for nothing."""
    fast, slow = Verdicts(BOOLEAN, -1, COUNT), Verdicts(BOOLEAN, -1, COUNT)
    runs = [[(-1, RIGHT)], [(-1, RIGHT), (0, WRONG), (1, RIGHT)], [(n, WRONG) for n in range(COUNT)]]
    for block in [*blocks, *runs]:
        fast.add_all(array("i", [index for index, _ in block]), "".join(vote for _, vote in block))
        for index, vote in block:
            if index >= 0:
                slow.add(index, VALUES[vote])
    assert fast.codes == slow.codes
    assert len(fast.codes) == COUNT
