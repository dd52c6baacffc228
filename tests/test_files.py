from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow import files
from batchflow.errors import DataError


class TestReplacing:
    def test_the_name_appears_with_its_content(self, tmp_path):
        path = tmp_path / "deep" / "down" / "a.jsonl"
        with files.replacing(path) as handle:
            handle.write(b"new")
            assert not path.exists()
        assert path.read_bytes() == b"new"
        assert [one.name for one in path.parent.iterdir()] == ["a.jsonl"]

    def test_an_error_keeps_the_old_file_and_leaves_no_trace(self, tmp_path):
        path = tmp_path / "a.jsonl"
        path.write_bytes(b"old")

        def write():
            with files.replacing(path) as handle:
                handle.write(b"half of the n")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write()
        assert path.read_bytes() == b"old"
        assert [one.name for one in tmp_path.iterdir()] == ["a.jsonl"]


@given(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b), max_size=20), st.booleans())
def test_lines_are_split_at_newlines_only_and_their_places_hold_them(tmp_path_factory, rows, ends):
    path = tmp_path_factory.mktemp("lines") / "a"
    data = b"\n".join(rows) + (b"\n" if ends and rows else b"")
    path.write_bytes(data)
    read = list(files.lines(path))
    assert b"".join(data[at : at + length] for at, length, _ in read) == data
    assert all(data[at : at + length].rstrip(b"\n") == line for at, length, line in read)
    assert len(read) == data.count(b"\n") + (not data.endswith(b"\n") and bool(data))


def test_unicode_line_ends_are_data(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes('{"a": "x\u2028y\u0085z\u2029"}\n{"a": "\r"}\n'.replace('"\r"', '"b"').encode())
    assert [row for _, row in files.objects(path)] == [{"a": "x\u2028y\u0085z\u2029"}, {"a": "b"}]


class TestObjects:
    def test_skip_blank_lines_and_a_byte_order_mark_and_count_lines(self, tmp_path):
        path = tmp_path / "a.jsonl"
        path.write_bytes(b'\xef\xbb\xbf{"n": 1}\r\n\n   \n{"n": 2}')
        assert list(files.objects(path)) == [(1, {"n": 1}), (4, {"n": 2})]

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            (b"", "no rows"),
            (b"\n \n", "no rows"),
            (b'{"a": 1}\n{"a"', "line 2: not JSON"),
            (b"[1]\n", "line 1: a JSON object is expected, not list"),
            (b"\xff\n", "line 1: not JSON"),
            (b"null\n", "not NoneType"),
        ],
    )
    def test_that_are_none_are_named_with_file_and_line(self, tmp_path, data, said):
        path = tmp_path / "a.jsonl"
        path.write_bytes(data)
        with pytest.raises(DataError, match=said) as caught:
            list(files.objects(path))
        assert str(path) in str(caught.value)


@given(st.binary(max_size=200))
def test_hashes_are_sha256(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("hash") / "a"
    path.write_bytes(data)
    assert files.sha256(path) == files.digest(data) == hashlib.sha256(data).hexdigest()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=10,
)


@given(json_values)
def test_json_goes_there_and_back_on_one_line(value):
    text = files.dumps(value)
    assert b"\n" not in text
    assert files.loads(text) == value
