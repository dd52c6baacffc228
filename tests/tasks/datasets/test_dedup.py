"""The small set against Python's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batchflow.tasks.datasets.dedup import Seen


@given(st.lists(st.text(max_size=3)))
def test_agrees_with_a_set(texts):
    seen, known = Seen(), set()
    for text in texts:
        assert seen.add(text) is (text in known)
        known.add(text)


def test_keeps_what_it_knows_when_it_grows():
    seen = Seen()
    assert not any(seen.add(f"q{n}") for n in range(70_000))
    assert all(seen.add(f"q{n}") for n in range(70_000))
