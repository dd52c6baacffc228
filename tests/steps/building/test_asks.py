from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batchflow.records import Image
from batchflow.steps.building.asks import CHUNK, CHUNK_BYTES, Ask, blocks, blocks_together

_PLACES = st.sampled_from([(0, 2), (1,), (3, 4, 5)])


def _ask(number: int, **more) -> Ask:
    return Ask(f"q{number}", "", ("text",), None, **more)


@given(st.lists(_PLACES, max_size=40), st.integers(0, 3 * CHUNK))
def test_each_batch_gets_its_requests_in_order_in_blocks_of_limited_size(heads, more):
    asks = [(places, _ask(number)) for number, places in enumerate([*heads, *[(0, 2)] * more])]
    got: dict[tuple[int, ...], list[Ask]] = {}
    for places, block in blocks_together(asks):
        assert 0 < len(block) <= CHUNK
        got.setdefault(places, []).extend(block)
    assert got == {wanted: [ask for places, ask in asks if places == wanted] for wanted, _ in asks}
    assert [ask for block in blocks(ask for _, ask in asks) for ask in block] == [ask for _, ask in asks]


def test_large_requests_make_small_blocks():
    pictures = [Ask(f"q{n}", "", (Image("image/png", "x" * (CHUNK_BYTES // 2)),), None) for n in range(5)]
    texts = [_ask(n, data={"reference": "y" * (CHUNK_BYTES // 2), "answer": ["z"]}) for n in range(5)]
    for asks in (pictures, texts):
        assert [len(block) for block in blocks(asks)] == [2, 2, 1]
        assert [len(block) for _, block in blocks_together(((0,), ask) for ask in asks)] == [2, 2, 1]
