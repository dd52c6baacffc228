import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchflow.local.job import job_dir


def line(index, *, status=200, error=None, said="yes"):
    body = {"choices": [{"finish_reason": "stop", "message": {"content": said}}]} if status == 200 else {}
    response = None if error else {"status_code": status, "body": body}
    return json.dumps({"id": f"local-{index}", "custom_id": f"c{index}", "response": response, "error": error}).encode()


@settings(deadline=None, max_examples=80)
@given(cut=st.integers(0, 10_000), tail=st.binary(max_size=30))
def test_a_file_torn_anywhere_keeps_its_whole_rows_and_only_these(tmp_path_factory, cut, tail):
    path = tmp_path_factory.mktemp("torn") / "output.jsonl"
    lines = [line(i) + b"\n" for i in (3, 0, 4, 1)]
    data = b"".join(lines)
    cut %= len(data) + 1
    path.write_bytes(data[:cut] + (tail.replace(b"\n", b"") if cut < len(data) else b""))
    rows = job_dir.recover(path, 5)
    whole = data[:cut].count(b"\n")
    assert path.read_bytes() == b"".join(lines[:whole])
    assert [i for i in range(5) if i in rows] == sorted([3, 0, 4, 1][:whole])


@pytest.mark.parametrize(
    "junk", [b"\x00" * 9, b"{}", b"[]", b'{"id":"local-99","error":null}', b'{"id":"x","error":{}}']
)
def test_a_spoiled_line_costs_its_own_row_and_none_behind_it(tmp_path, junk):
    path = tmp_path / "output.jsonl"
    path.write_bytes(b"\n".join([line(0), junk, line(1), line(2)[:9] + line(3), line(4), line(2)[:9]]))
    rows = job_dir.recover(path, 5)
    assert [i for i in range(5) if i in rows] == [0, 1, 4]
    assert path.read_bytes() == b"".join(line(i) + b"\n" for i in (0, 1, 4))
    assert [p.name for p in tmp_path.iterdir()] == ["output.jsonl"]


def test_errors_are_counted_and_a_row_is_finished_once(tmp_path):
    path = tmp_path / "output.jsonl"
    failed = [line(0, status=500), line(1, error={"code": "no_reply"}), line(4, said="")]
    path.write_bytes(b"\n".join([*failed, line(2), line(2)]) + b"\n")
    rows = job_dir.recover(path, 5)
    assert (rows.done, rows.errors) == (4, 3)
    assert not rows.add(2, failed=False)
    assert rows.add(3, failed=False)


def test_no_file_is_nothing_done(tmp_path):
    assert job_dir.recover(tmp_path / "none", 5).done == 0


def test_what_is_appended_can_be_read_before_it_is_synced(tmp_path):
    output = job_dir.Output(tmp_path / "o")
    output.append(b"a")
    output.append(b"b")
    assert (tmp_path / "o").read_bytes() == b"a\nb\n"
    assert output.unsynced == 2
    output.close()
    assert output.unsynced == 0


def test_a_sync_that_failed_is_told_to_every_writer_since_the_kernel_tells_it_once(tmp_path):
    reader, writer = os.pipe()  # fsync(2): a pipe cannot be synced (EINVAL)
    try:
        output = job_dir.Output(Path(f"/proc/self/fd/{writer}"))
        output.append(b"a")
        with pytest.raises(OSError, match="Invalid argument"):
            output.sync()
        for late in (output.check, lambda: output.append(b"b"), output.close):
            with pytest.raises(OSError, match="Invalid argument"):
                late()
    finally:
        os.close(reader)
        os.close(writer)


def test_one_worker_at_a_time(tmp_path):
    with job_dir.only_worker(tmp_path) as first, job_dir.only_worker(tmp_path) as second:
        assert (first, second) == (True, False)
    with job_dir.only_worker(tmp_path) as third:
        assert third
