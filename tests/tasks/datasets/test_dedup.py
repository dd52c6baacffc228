"""The small set against Python's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batchflow.tasks.datasets.dedup import Seen, likely_rows


@given(st.lists(st.text(max_size=3)), st.sampled_from([0, 50_000]))
def test_agrees_with_a_set(texts, expected):
    seen, known = Seen(expected), set()
    for text in texts:
        assert seen.add(text) is (text in known)
        known.add(text)


def test_keeps_what_it_knows_when_it_grows():
    seen = Seen()
    assert not any(seen.add(f"q{n}") for n in range(70_000))
    assert all(seen.add(f"q{n}") for n in range(70_000))


def test_guesses_the_rows_of_a_file(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b"x" * 99 + b"\n")
    assert likely_rows(path) == 1
    path.write_bytes((b"x" * 99 + b"\n") * 5_000)
    assert 4_900 <= likely_rows(path) <= 5_000
    path.write_bytes(b"")
    assert likely_rows(path) == 0
