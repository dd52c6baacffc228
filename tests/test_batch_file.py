from __future__ import annotations

import re
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow import batch_file, files
from batchflow.batch_file import PartWriter, line, place, safe, wire_id, wire_ids
from batchflow.errors import DataError
from batchflow.records import Limits, Params, Request

NONCE = "0badcafe"


@given(st.integers(0, 10**9), st.text(max_size=300))
def test_ids_fit_the_strictest_vendor_and_say_their_place(seq, item):
    made = wire_id(seq, NONCE, item)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", made)
    assert place(made, NONCE) == seq


_ITEM = st.text(max_size=5) | st.from_regex(r"[a-z0-9-]{1,9}", fullmatch=True) | st.just("a" * 60)


@given(st.integers(0, 10**9), st.lists(_ITEM, min_size=1, max_size=4))
def test_ids_made_together_are_those_made_one_by_one(first, items):
    assert wire_ids(first, NONCE, items) == [wire_id(first + at, NONCE, item) for at, item in enumerate(items)]


@pytest.mark.parametrize(
    "strange",
    [
        None,
        3,
        "",
        "5",
        "5-0badcafe ",
        "x-0badcafe-a",
        "5-deadbeef-a",
        "5-0badcafex",
        "-1-0badcafe-a",
        "99999999999-0badcafe-a",
        ["5-0badcafe-a"],
    ],
)
def test_ids_of_others_have_no_place(strange):
    assert place(strange, NONCE) is None


@given(st.text(max_size=60))
def test_safe_texts_are_safe(text):
    assert re.fullmatch(r"[A-Za-z0-9-]+", safe(text))


def test_the_content_hash_is_of_what_is_asked_without_the_id():
    def made(custom_id, text):
        request = Request(custom_id, "m", "", (text,), params=Params())
        return line(request, {"custom_id": custom_id, "body": {"text": text}})

    assert made("1-0badcafe-a", "x").content == made("2-0badcafe-b", "x").content
    assert made("1-0badcafe-a", "x").content != made("1-0badcafe-a", "y").content
    assert made("1-0badcafe-a", "x").data.endswith(b"\n")


def lines(*sizes):
    return [batch_file.Line(f"{n}-{NONCE}-x", b"x" * (size - 1) + b"\n", "c") for n, size in enumerate(sizes)]


def write(folder, made, limits, name="b"):
    with PartWriter(folder, name, limits) as writer:
        places = [writer.add(one) for one in made]
        return places, writer.settle()


class TestParts:
    def test_one_part_has_the_plain_name(self, tmp_path):
        places, (part,) = write(tmp_path, lines(5, 5), Limits(10, 100))
        assert places == [0, 0]
        assert (part.path.name, part.requests, part.bytes) == ("b.jsonl", 2, 10)
        assert part.sha256 == files.sha256(part.path)

    def test_limits_on_requests_and_bytes_are_met_to_the_edge(self, tmp_path):
        places, parts = write(tmp_path, lines(10, 10, 1, 1, 1, 20), Limits(3, 21))
        assert places == [0, 0, 0, 1, 1, 2]
        assert [(p.path.name, p.requests, p.bytes) for p in parts] == [
            ("b.part-000.jsonl", 3, 21), ("b.part-001.jsonl", 2, 2), ("b.part-002.jsonl", 1, 20),
        ]  # fmt: skip

    @settings(max_examples=25, deadline=None)  # each example syncs its files to the disk
    @given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(1, 7), st.integers(30, 90))
    def test_parts_hold_every_line_once_and_in_order(self, tmp_path_factory, sizes, count, size):
        made = lines(*sizes)
        places, parts = write(tmp_path_factory.mktemp("parts"), made, Limits(count, size))
        assert b"".join(p.path.read_bytes() for p in parts) == b"".join(one.data for one in made)
        assert all(p.requests <= count and p.bytes <= size for p in parts)
        assert places == sorted(places)
        assert sum(p.requests for p in parts) == len(made)

    @pytest.mark.parametrize("limits", [Limits(10, 9), Limits(10, 100, line_bytes=9)])
    def test_a_line_over_a_limit_is_refused_and_nothing_stays(self, tmp_path, limits):
        with pytest.raises(DataError, match=r"1-0badcafe-x: 10 bytes, the vendor takes 9"):
            write(tmp_path, lines(2, 10), limits)
        assert list(tmp_path.iterdir()) == []

    def test_without_settling_nothing_stays(self, tmp_path):
        with PartWriter(tmp_path, "b", Limits(1, 100)) as writer:
            for one in lines(3, 3):
                writer.add(one)
        assert list(tmp_path.iterdir()) == []

    def test_a_full_disk_leaves_no_file_that_would_keep_it_full(self, tmp_path):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # as a full disk: what is written last cannot be
        try:
            with pytest.raises(OSError, match="File too large"):
                write(tmp_path, lines(40_000, 40_000), Limits(requests=9, file_bytes=10**6, source="test"))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert list(tmp_path.iterdir()) == []

    def test_what_is_being_written_is_not_swept_away_and_what_a_dead_process_left_is(self, tmp_path):
        with PartWriter(tmp_path, "b", Limits(1, 100)) as writer:
            for one in lines(3, 3):
                writer.add(one)
            left = tmp_path / ".dead.part-000.jsonl.1.part"
            left.write_bytes(b"half")
            assert files.sweep(tmp_path) == (left,)
            assert len(writer.settle()) == 2
        assert sorted(path.name for path in tmp_path.iterdir()) == ["b.part-000.jsonl", "b.part-001.jsonl"]

    def test_the_same_again_is_taken_and_another_file_of_the_name_is_not(self, tmp_path):
        write(tmp_path, lines(3, 3), Limits(9, 100))
        write(tmp_path, lines(3, 3), Limits(9, 100))
        with pytest.raises(DataError, match="not from this ledger"):
            write(tmp_path, lines(3, 4), Limits(9, 100))
        assert (tmp_path / "b.jsonl").stat().st_size == 6
        assert [path.name for path in tmp_path.iterdir()] == ["b.jsonl"]


def test_lines_are_made_one_at_a_time():
    asked = []

    def endless():
        for n in range(10**9):
            asked.append(n)
            yield Request(f"{n}-{NONCE}-x", "m", "", ("?",))

    made = batch_file.encoded(endless(), lambda request: {"custom_id": request.custom_id})
    assert next(made).custom_id == f"0-{NONCE}-x"
    assert asked == [0]
