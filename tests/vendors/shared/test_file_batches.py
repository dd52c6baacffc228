"""What vendors with files do alike, without a vendor."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from batchflow.errors import Trouble, VendorError
from batchflow.records import Counts, Found, Job, Phase, Progress
from batchflow.vendors.shared import file_batches

JOB = Job(
    *("b", Path("b.jsonl"), "0" * 64, 2, "m", "/v1/chat/completions", "token", "nonce", time.time()),
    remote_file="file-1",
    known_ids=frozenset({"known"}),
)
STATUSES = {"running": Phase.WAITING, "failed": Phase.ENDED}


def waits(_):
    return VendorError("conflict", trouble=Trouble.REFUSED, status=409)


def test_pages_are_read_to_the_end_and_only_once():
    asked = []

    def ask(cursor):
        asked.append(cursor)
        return [{"id": len(asked)}], {"": "a", "a": "b"}.get(cursor)

    assert [row["id"] for row in file_batches.pages("v", ask)] == [1, 2, 3]
    assert asked == ["", "a", "b"]


@pytest.mark.parametrize("following", ["", "again"])
def test_a_cursor_that_comes_back_proves_nothing(following):
    with pytest.raises(VendorError, match="v: the list of batches is broken or never ends") as caught:
        list(file_batches.pages("v", lambda _: ([], following)))
    assert caught.value.trouble is Trouble.GARBLED


def test_a_list_of_ever_new_cursors_is_given_up():
    asked = iter(range(file_batches.PAGES + 5))
    with pytest.raises(VendorError, match="never ends"):
        list(file_batches.pages("v", lambda _: ([], str(next(asked)))))
    assert next(asked) == file_batches.PAGES


@pytest.mark.parametrize("page", [{}, {"data": None}, {"data": {"id": "x"}}])
def test_a_page_without_rows_proves_nothing(page):
    with pytest.raises(VendorError) as caught:
        file_batches.rows_of("v", page)
    assert caught.value.trouble is Trouble.GARBLED
    assert file_batches.rows_of("v", {"data": [{"id": "x"}, 3]}) == [{"id": "x"}, {}]


def batch(batch_id, *, token="other", source="file-9", status="running"):
    return {"id": batch_id, "metadata": {"batchflow": token}, "source": source, "status": status}


@pytest.mark.parametrize(
    ("batches", "found"),
    [
        ([], Found((), sure=True)),
        ([batch("a"), {"id": 3}, batch("")], Found((), sure=True)),
        ([batch("a", token="token"), batch("b", source="file-1")], Found(("a",), sure=True)),
        ([batch("b", source="file-1"), batch("b", source=["file-1"])], Found(("b",), sure=False)),
        ([batch("b", source="file-1", status="failed")], Found((), sure=True)),
        ([batch("a", token="token", status="failed")], Found(("a",), sure=True)),
        ([batch("known", token="token"), batch("known", source="file-1")], Found((), sure=True)),
    ],
)
def test_ours_are_those_with_our_token_and_candidates_those_on_our_file(batches, found):
    assert file_batches.found(batches, JOB, "source", {"failed"}) == found


@pytest.mark.parametrize(
    ("told", "said", "phase", "word", "full"),
    [
        ({"status": "running"}, None, Phase.WAITING, "running", False),
        ({"status": "pondering"}, None, Phase.WAITING, "pondering", False),
        ({}, None, Phase.WAITING, "(no status)", False),
        ({"status": "failed"}, "Enqueued token limit reached", Phase.ENDED, "failed", True),
        ({"status": "failed"}, "line 1 is bad", Phase.ENDED, "failed", False),
        ({"status": "running"}, "Enqueued token limit reached", Phase.WAITING, "running", False),
    ],
)
def test_progress_of_known_and_unknown_words(told, said, phase, word, full):
    heard = file_batches.progress(told, STATUSES, Counts(), said, void="failed")
    assert (heard.phase, heard.word, heard.error, heard.queue_full) == (phase, word, said, full)


class Body:
    def __init__(self):
        self.headers = {"content-length": "2"}

    def iter_bytes(self, _):
        yield b"{}"


def test_whichever_files_exist_are_read_one_after_the_other_and_closed():
    log = []

    @contextlib.contextmanager
    def content(file_id):
        log.append(f"open {file_id}")
        yield Body()
        log.append(f"close {file_id}")

    batch = {"status": "done", "out": "f1", "err": "f2"}
    kinds = [(d.kind, b"".join(d.chunks)) for d in file_batches.downloads("v", batch, ("out", "err"), "done", content)]
    assert kinds == [("output", b"{}"), ("error", b"{}")]
    assert log == ["open f1", "close f1", "open f2", "close f2"]
    assert [d.kind for d in file_batches.downloads("v", {"err": "f2"}, ("out", "err"), "done", content)] == ["error"]
    assert not list(file_batches.downloads("v", {"status": "expired", "out": ""}, ("out", "err"), "done", content))
    with pytest.raises(VendorError) as caught:
        list(file_batches.downloads("v", {"status": "done", "out": ""}, ("out", "err"), "done", content))
    assert caught.value.trouble is Trouble.UNPUBLISHED


@pytest.mark.parametrize("phase", [Phase.ENDED, Phase.LOST])
def test_a_cancel_refused_because_it_is_over_is_no_error(phase):
    def ask():
        raise RuntimeError

    file_batches.cancel(ask, lambda: Progress(phase, "over", Counts()), waits)


def test_a_cancel_refused_while_it_runs_is_one():
    def ask():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        file_batches.cancel(ask, lambda: Progress(Phase.WAITING, "running", Counts()), waits)


def test_a_cancel_that_broke_is_an_error_and_nobody_is_asked_what_became_of_it():
    def ask():
        raise RuntimeError

    def poll():
        raise AssertionError

    with pytest.raises(RuntimeError):
        file_batches.cancel(ask, poll, lambda _: VendorError("down", trouble=Trouble.UNCERTAIN, status=500))
