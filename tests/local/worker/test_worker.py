"""The worker as a process: killed at random, told to stop, started twice."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import pytest
from helpers.until import until

ROWS = int(os.environ.get("BATCHFLOW_TEST_ROWS", "400"))
KILLS = int(os.environ.get("BATCHFLOW_TEST_KILLS", "8"))


def spawn(folder, environ=None, limits=""):
    """limits: commands of the shell that set them."""
    log = (folder / "worker.log").open("ab")
    command = [sys.executable, "-m", "batchflow.local.worker.worker", str(folder)]
    if limits:
        command = ["/bin/sh", "-c", f'{limits}; exec "$@"', "sh", *command]
    try:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ)
    finally:
        log.close()


def lines(folder):
    path = folder / "output.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_kill_9_of_worker_and_server_at_random_loses_nothing_and_doubles_nothing(place, mortal):
    """Cuts at seeded random places of the output: the worker, the server or both die, and come back."""
    dice = random.Random(20261121)
    width = 16
    folder = place.folder(ROWS, base_url=mortal.url, concurrency=width)
    worker = spawn(folder)
    deaths = Counter()
    for cut in sorted(dice.sample(range(ROWS - 2 * width), KILLS)):
        mortal.may_answer(max(0, cut - lines(folder)) + 1)  # else it could be done before it is killed
        until(lambda cut=cut: lines(folder) >= cut, 60.0)
        mortal.may_answer(0)
        victims = dice.choice([("worker",), ("server",), ("worker", "server")])
        deaths.update(victims)
        if "worker" in victims:
            worker.kill()
            assert worker.wait(60) == -signal.SIGKILL
            if dice.random() < 0.5:
                tear(folder, dice)
        if "server" in victims:
            mortal.kill()
            mortal.start()
        if "worker" in victims:
            worker = spawn(folder)
    mortal.may_answer(2 * ROWS)
    assert worker.wait(60) == 0
    assert min(deaths["worker"], deaths["server"]) >= KILLS // 3
    assert_whole(place, folder)
    asked = mortal.asked
    assert len(asked) == ROWS
    assert sum(asked.values()) <= ROWS + width * deaths.total()  # only what was in flight was asked again


def tear(folder, dice):
    """A line of which only the beginning reached the disk, as a lost machine leaves it."""
    with (folder / "output.jsonl").open("ab") as out:
        out.write(b'{"id":"local-' + dice.choice([b"", b"5", b'5","custom_id":"5-abc","resp', b"\x00" * 50]))


def assert_whole(place, folder):
    rows = place.output(folder)
    assert len(rows) == ROWS
    assert {row["custom_id"] for row in rows} == {f"{i}-abc" for i in range(ROWS)}
    for row in rows:
        said = row["response"]["body"]["choices"][0]["message"]["content"]
        assert said == f"re: q{row['id'].removeprefix('local-')}"
    assert place.progress(folder)["done"] == ROWS


def test_a_second_worker_ends_at_once_and_touches_nothing(place, fault_server, act):
    server = fault_server(lambda text, before: act(how="hang"))
    folder = place.folder(4, base_url=server.url)
    first = spawn(folder)
    until(lambda: sum(server.asked.values()) == 4)
    assert spawn(folder).wait(60) == 0
    assert sum(server.asked.values()) == 4
    first.kill()
    first.wait()


def test_a_look_at_the_lock_does_not_frighten_a_worker_off(place, fault_server):
    folder = place.folder(4, base_url=fault_server().url)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_SH)
    worker = spawn(folder)
    time.sleep(0.3)
    os.close(handle)
    assert worker.wait(60) == 0
    assert len(place.output(folder)) == 4


def test_the_stop_file_ends_it_within_seconds_and_every_row_has_a_line(place, fault_server, act):
    server = fault_server(lambda text, before: act(how="hang" if int(text[1:]) >= 30 else "plain"))
    folder = place.folder(50, base_url=server.url, concurrency=8)
    worker = spawn(folder)
    until(lambda: lines(folder) == 30)
    (folder / "stop").touch()
    assert worker.wait(60) == 0
    rows = place.output(folder)
    assert len({row["custom_id"] for row in rows}) == 50
    cancelled = [row for row in rows if row["error"]]
    assert len(cancelled) == 20
    assert {row["error"]["code"] for row in cancelled} == {"batch_cancelled"}
    assert place.progress(folder)["word"] == "cancelled"


def test_sigterm_stops_it_politely_and_the_rest_can_follow(place, fault_server, act):
    server = fault_server(lambda text, before: act(how="hang" if text == "q3" and before == 0 else "plain"))
    folder = place.folder(10, base_url=server.url, concurrency=2)
    worker = spawn(folder)
    until(lambda: lines(folder) == 9)
    worker.terminate()
    assert worker.wait(60) == 1
    assert place.progress(folder)["word"] == "stopped"
    assert spawn(folder).wait(60) == 0
    assert len({row["custom_id"] for row in place.output(folder)}) == 10
    assert server.asked["q3"] == 2


def test_progress_is_written_while_it_runs(place, fault_server, act):
    server = fault_server(lambda text, before: act(after_s=0.05))
    folder = place.folder(400, base_url=server.url, concurrency=4)
    began = time.time()
    worker = spawn(folder)
    until(lambda: (folder / "progress.json").exists() and (place.progress(folder)["rows_per_s"] or 0) > 0)
    seen = place.progress(folder)
    worker.kill()
    worker.wait()
    assert seen["word"] == "running"
    # four answers each 50 ms at most; at least those that came, over the time with the start in it
    assert seen["done"] / (seen["updated_at"] - began) <= seen["rows_per_s"] < 100
    assert seen["tokens_per_s"] == pytest.approx(6 * seen["rows_per_s"])
    assert seen["eta_s"] == pytest.approx((400 - seen["done"]) / seen["rows_per_s"])
    assert seen["in_flight"] in {3, 4}  # the report's thread may look while one slot takes its next row


def test_waiting_for_a_model_does_not_count_as_slowness(place, fault_server, act):
    server = fault_server(lambda text, before: act(how="hang" if text == "q39" else "plain"))
    server.models = []
    options = {"wait_for_s": "60s", "wait_interval_s": "100ms", "timeout_s": "60s"}
    folder = place.folder(40, base_url=server.url, concurrency=4, **options)
    worker = spawn(folder)
    until(lambda: (folder / "worker.log").read_bytes().count(b"waiting for m") >= 5)
    listed = time.time()
    server.models = ["m"]
    until(lambda: place.progress(folder)["done"] == 39 and place.progress(folder)["rows_per_s"])
    seen = place.progress(folder)
    worker.kill()
    worker.wait()
    assert 39 / seen["rows_per_s"] <= seen["updated_at"] - listed


def test_what_a_refused_row_was_told_is_reported_while_the_others_go_on(place, fault_server, act):
    refused = act(400, {"error": {"message": "too long"}})
    server = fault_server(lambda text, before: refused if text == "q0" else act(how="hang"))
    folder = place.folder(2, base_url=server.url, concurrency=1, timeout_s="60s")
    worker = spawn(folder)
    until(lambda: place.progress(folder)["error"] if (folder / "progress.json").exists() else None)
    seen = place.progress(folder)
    worker.kill()
    worker.wait()
    assert (seen["word"], seen["error"], seen["retries"]) == ("running", "HTTP 400: too long", 0)


def test_what_answered_the_first_rows_is_remembered_when_another_model_answers_the_rest(place, fault_server, act):
    server = fault_server(lambda text, before: act(how="hang" if text == "q3" and before == 0 else "plain"))
    server.card = {"root": "/models/a", "owned_by": "vllm", "permission": [{"id": "x"}]}
    server.extra["/version"] = {"version": "0.33.0"}
    folder = place.folder(6, base_url=server.url, concurrency=2)
    worker = spawn(folder)
    until(lambda: lines(folder) == 5)
    worker.kill()
    worker.wait()
    first = json.loads((folder / "engine.json").read_text())
    served = {"id": "m", "root": "/models/a", "owned_by": "vllm", "version": "0.33.0"}
    assert first["served"] == {server.url: served}
    server.card["root"] = "/models/b"
    assert spawn(folder).wait(60) == 0
    second = json.loads((folder / "engine.json").read_text())
    assert second["served"] == {server.url: served | {"root": "/models/b"}}
    assert second["before"] == [first]
    assert b"5 rows were answered by another engine, model or setting" in (folder / "worker.log").read_bytes()


@pytest.mark.parametrize("said", [None, "", "<think> hm"])
def test_replies_without_an_answer_are_told_before_two_days_are_over(place, fault_server, act, said):
    """A token limit that no thought fits into gives 200 for every row, and not one answer."""
    silent = act(body={"choices": [{"finish_reason": "length", "message": {"content": said}}]})
    server = fault_server(lambda text, before: act(how="hang") if text == "q2" and before == 0 else silent)
    folder = place.folder(3, base_url=server.url, concurrency=1)
    worker = spawn(folder)
    until(lambda: (folder / "progress.json").exists() and place.progress(folder)["errors"] == 2)
    seen = place.progress(folder)
    worker.kill()
    worker.wait()
    assert (seen["word"], seen["done"]) == ("running", 2)
    assert seen["error"] == "a reply without an answer (finish_reason length)"
    assert spawn(folder).wait(60) == 0
    assert (place.progress(folder)["word"], place.progress(folder)["errors"]) == ("completed", 3)


def test_tries_that_were_turned_away_use_up_no_tokens(place, fault_server, act):
    """Each try is taken for 100,000 tokens, at 6,000 a minute: one that counted would hold up the next for 1,000 s."""
    turned_away = [act(429, {"error": {"message": "slow down"}}), act(400, {"error": {"message": "too long"}})]
    server = fault_server(lambda text, before: turned_away[text == "q1"] if before < 4 else act())
    folder = place.folder(3, place.rows(3, max_tokens=100_000), base_url=server.url, concurrency=1, tpm=6000)
    worker = spawn(folder)
    try:
        assert worker.wait(60) == 0
    finally:
        worker.kill()
    assert server.asked == {"q0": 5, "q1": 1, "q2": 5}


def test_tries_that_found_no_server_use_up_no_tokens(place, fault_server):
    """As above: one that counted would hold up the next for 1,000 s."""
    server = fault_server()
    server.stop()
    folder = place.folder(1, place.rows(1, max_tokens=100_000), base_url=server.url, tpm=6000)
    worker = spawn(folder)
    try:
        until(lambda: (folder / "progress.json").exists() and place.progress(folder)["retries"] >= 2)
        server.start()
        assert worker.wait(60) == 0
    finally:
        worker.kill()


def test_two_jobs_at_one_server_keep_to_one_rate(place, fault_server):
    """Eighty requests at 50 a second take 1.58 s; by a limiter for each job they took half of that."""
    server = fault_server()
    jobs = [place.folder(40, token=name, base_url=server.url, concurrency=8, rps=50) for name in ("a", "b")]
    workers = [spawn(job) for job in jobs]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    assert sum(server.asked.values()) == 80
    times = [at for at, _ in server.curve]
    assert max(times) - min(times) >= 1.45


def test_an_output_that_cannot_be_read_back_is_told_without_a_traceback(place):
    folder = place.folder(3, base_url="http://127.0.0.1:1")
    (folder / "output.jsonl").mkdir()
    assert spawn(folder).wait(60) == 1
    (said,) = (folder / "worker.log").read_text().splitlines()
    assert said.endswith(f"stopped: {folder / 'output.jsonl'}: Is a directory")


def test_a_broken_spec_is_told_and_is_final(place):
    folder = place.folder(1, base_url="http://127.0.0.1:1")
    (folder / "spec.json").write_text("{")
    assert spawn(folder).wait(60) == 1
    assert place.progress(folder)["word"] == "failed"
    assert "spec.json" in place.progress(folder)["error"]


def test_a_wide_window_raises_the_limit_of_open_files_that_shells_give(place, fault_server, gate):
    inside = gate(width=150, calls=150)
    folder = place.folder(300, base_url=fault_server(gate=inside).url, concurrency=150)
    worker = spawn(folder, limits="ulimit -Sn 64; ulimit -Hn 1000")
    assert worker.wait(60) == 0
    assert place.progress(folder)["retries"] == inside.starved == 0


def test_a_window_that_the_machine_does_not_allow_is_told(place, fault_server):
    server = fault_server()
    folder = place.folder(3, base_url=server.url, concurrency=150)
    assert spawn(folder, limits="ulimit -Sn 64; ulimit -Hn 200").wait(60) == 1
    said = place.progress(folder)
    assert said["word"] == "stopped"
    assert "--concurrency 150 needs 246 open files, and this machine allows 200" in said["error"]
    assert not server.asked


def test_a_full_disk_stops_it_in_the_middle_of_a_row_and_a_later_worker_goes_on(place, fault_server):
    """The limit of a file's size stands in for the disk: writing beyond it fails in the middle of a line (EFBIG)."""
    folder = place.folder(60, base_url=fault_server().url, concurrency=4)
    assert spawn(folder, limits="ulimit -f 10").wait(60) == 1
    assert (folder / "output.jsonl").stat().st_size == 10 * 512
    seen = place.progress(folder)
    assert seen["word"] == "stopped"
    assert "File too large" in seen["error"]
    assert b"Traceback" not in (folder / "worker.log").read_bytes()
    assert spawn(folder).wait(60) == 0
    assert sorted(row["id"] for row in place.output(folder)) == sorted(f"local-{i}" for i in range(60))


def test_progress_that_cannot_be_written_for_a_while_ends_nothing(place, fault_server, act):
    """The name of its temporary file is taken by a folder: as long as that stands, no report can be written."""
    server = fault_server(lambda text, before: act(after_s=0.02))
    folder = place.folder(60_000, base_url=server.url, concurrency=4)
    worker = spawn(folder)
    until(lambda: (folder / "progress.json").exists() and place.progress(folder)["rows_per_s"])
    obstacle = folder / f".progress.json.{worker.pid}.part"
    until(lambda: _made(obstacle))
    until(lambda: b"the progress cannot be written, going on" in (folder / "worker.log").read_bytes())
    before = place.progress(folder)
    obstacle.rmdir()
    until(lambda: place.progress(folder)["updated_at"] > before["updated_at"])
    worker.kill()
    worker.wait()
    assert place.progress(folder)["word"] == "running"


def _made(path):
    with suppress(FileExistsError):  # a report is being written
        path.mkdir()
    return path.is_dir()


def test_a_server_that_answers_as_another_model_is_told_of(place, fault_server):
    from batchflow import settings
    from batchflow.local.worker.worker import work_off

    server = fault_server()  # it answers as `m`
    folder = place.folder(3, base_url=server.url)
    spec = json.loads((folder / "spec.json").read_text())
    (folder / "spec.json").write_text(json.dumps(spec | {"model": "another"}))
    assert work_off(folder, settings.load(place.project, {})) == "completed"
    assert place.progress(folder)["error"] == "a server answers as 'm', asked for 'another'"
