"""Reading SDK answers: times, counts, sizes, ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from batchflow.errors import Trouble, VendorError
from batchflow.records import Counts
from batchflow.vendors.shared import sdk_answers


@pytest.mark.parametrize(
    "value",
    [
        86_400,
        86_400.0,
        "1970-01-02T00:00:00Z",
        "1970-01-02T02:00:00+02:00",
        "1970-01-02T00:00:00",
        datetime(1970, 1, 2),  # noqa: DTZ001 - an SDK may leave the zone out
        datetime(1970, 1, 2, tzinfo=UTC),
        datetime(1970, 1, 2, 2, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_a_time_is_read_whatever_its_shape(value):
    assert sdk_answers.unix(value) == 86_400.0


@pytest.mark.parametrize("value", [None, "soon", True, [], {}, ""])
def test_what_is_no_time_is_none(value):
    assert sdk_answers.unix(value) is None


@pytest.mark.parametrize(
    ("window", "hours"),
    [("24h", 24), ("7d", 168), ("1h", 1), ("", 0), ("h", 0), ("24", 0), ("1.5h", 0), ("99999h", 0), ("24h\n", 0)],
)
def test_hours_of_a_window(window, hours):
    assert sdk_answers.hours(window) == hours


def test_a_total_of_zero_is_not_a_count_yet():
    assert sdk_answers.counts(0, 0, 0) == Counts(None, 0, 0)
    assert sdk_answers.counts("7", None, -1) == Counts(7, None, None)


@pytest.mark.parametrize("answer", ["<html></html>", None, [], 7])
def test_a_success_that_is_no_object_is_garbled(answer):
    with pytest.raises(VendorError) as caught:
        sdk_answers.facts("groq", answer)
    assert caught.value.trouble is Trouble.GARBLED


@pytest.mark.parametrize("answer", ["<html></html>", None, {}, {"id": None}, {"id": 7}, {"id": ""}])
def test_a_create_without_an_id_may_have_taken_effect(answer):
    with pytest.raises(VendorError) as caught:
        sdk_answers.created("groq", answer)
    assert caught.value.trouble is Trouble.UNCERTAIN


class _Answer:
    def __init__(self, **headers):
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def iter_bytes(self, size):
        yield b"x" * 3


@pytest.mark.parametrize(
    ("headers", "size"),
    [({"content_length": "3"}, 3), ({}, None), ({"content_length": "3", "content_encoding": "gzip"}, None)],
)
def test_a_length_is_believed_where_it_counts_what_is_read(headers, size):
    download = sdk_answers.download("output", _Answer(**headers))
    assert (download.kind, download.size, b"".join(download.chunks)) == ("output", size, b"xxx")


class GoneError(Exception):
    status_code = 404


class BusyError(Exception):
    status_code = 503


def _explained(error):
    trouble = Trouble.NOT_FOUND if isinstance(error, GoneError) else Trouble.UNCERTAIN
    return VendorError("no", trouble=trouble)


def test_files_are_forgotten_once_each_and_gone_ones_are_no_error():
    asked = []

    def delete(file_id):
        asked.append(file_id)
        raise GoneError

    sdk_answers.forget(["a", None, "b", "a"], delete, _explained)
    assert asked == ["a", "b"]


def test_a_delete_that_fails_otherwise_raises():
    def delete(file_id):
        raise BusyError

    with pytest.raises(BusyError):
        sdk_answers.forget(["a"], delete, _explained)
