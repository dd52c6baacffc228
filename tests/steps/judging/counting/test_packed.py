from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow import files
from batchflow.steps.judging.counting import packed

_HASHES = st.text("0123456789abcdef", min_size=32, max_size=32)
_TEXTS = st.text(st.characters()) | st.just("\ud800") | _HASHES | st.sampled_from(["0" * 31, "0" * 33, "A" * 32])


@given(st.lists(st.lists(_TEXTS | _HASHES, max_size=5), max_size=4), st.lists(_TEXTS, max_size=2))
def test_texts_come_out_as_they_went_in(chunks, more):
    texts = [text for chunk in chunks for text in chunk]
    for kept in (packed.Texts(), packed.Digests()):
        for chunk in chunks:
            kept.extend(chunk)
        assert list(packed.joined(kept, more)) == [*texts, *more]
        assert packed.joined(kept, more)[1:3] == [*texts, *more][1:3]
        assert [kept[place] for place in range(-len(texts), len(texts))] == [*texts, *texts]
        assert kept[::-1] == texts[::-1]


@given(st.lists(st.lists(st.dictionaries(st.sampled_from("ab"), st.integers(0, 3)), max_size=9), max_size=4))
def test_columns_come_out_as_they_went_in(chunks):
    columns = packed.Columns()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed, "_MOST_COLUMNS", 3)
        for chunk in chunks:
            columns.extend([files.dumps(row).decode() for row in chunk])
    assert list(columns) == [row for chunk in chunks for row in chunk]
