from __future__ import annotations

import hashlib
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchflow import files
from batchflow.errors import DataError

WRITER = """
import sys
from pathlib import Path
from batchflow import files
with files.replacing(Path(sys.argv[1])) as handle:
    handle.write(b"half")
    print("writing", flush=True)
    sys.stdin.read()
"""


class TestSweeping:
    def test_spares_what_a_living_process_writes_and_takes_what_a_killed_one_left(self, tmp_path):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path / "a.jsonl"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as writer:  # fmt: skip
            assert writer.stdout.readline() == "writing\n"
            (half,) = tmp_path.iterdir()
            assert files.sweep(tmp_path) == ()
            assert half.exists()
            writer.kill()
            writer.wait(60)
        assert files.sweep(tmp_path) == (half,)
        assert list(tmp_path.iterdir()) == []

    def test_touches_no_other_file_and_no_folder_that_is_not_there(self, tmp_path):
        for name in ("a.part", ".a.jsonl", ".hidden"):
            (tmp_path / name).write_text("mine")
        assert files.sweep(tmp_path) == ()
        assert files.sweep(tmp_path / "nowhere") == ()

    def test_a_file_swept_between_its_open_and_its_lock_is_opened_anew(self, tmp_path):
        """Whatever a sweep does meanwhile, what is written comes to stand under its name."""
        stop = threading.Event()

        def sweeping():
            while not stop.is_set():
                files.sweep(tmp_path)

        sweeper = threading.Thread(target=sweeping)
        sweeper.start()
        try:
            for number in range(100):
                with files.replacing(tmp_path / "a.jsonl") as handle:
                    handle.write(b"%d" % number)
                assert (tmp_path / "a.jsonl").read_bytes() == b"%d" % number
        finally:
            stop.set()
            sweeper.join()


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


@pytest.mark.parametrize("end", [None, 0, 1, 7, 10, 99])
def test_chunks_are_the_bytes_up_to_the_end(tmp_path, monkeypatch, end):
    monkeypatch.setattr(files, "CHUNK", 3)
    path = tmp_path / "raw"
    path.write_bytes(b"0123456789")
    pieces = list(files.chunks(path, end))
    assert b"".join(pieces) == b"0123456789"[:end]
    assert all(0 < len(piece) <= 3 for piece in pieces)
