import asyncio
import subprocess
import sys

import pytest
from helpers.until import until

from batchflow import settings
from batchflow.local.job import job_dir
from batchflow.local.worker.cache import Cache, scope
from batchflow.local.worker.lease import Unleased
from batchflow.local.worker.server_probe import identity
from batchflow.local.worker.worker import Work, work_off


def run(place, folder):
    return work_off(folder, settings.load(place.project, {"BATCHFLOW_LOCAL_API_KEY": "key-123456"}))


def job(place, server, n, token, **body):
    return place.folder(n, place.rows(n, **body), token, base_url=server.url)


def test_a_rerun_with_one_more_item_asks_one_request(place, fault_server):
    server = fault_server()
    assert run(place, job(place, server, 20, "first", temperature=0)) == "completed"
    again = job(place, server, 21, "second", temperature=0)
    assert run(place, again) == "completed"
    assert sum(server.asked.values()) == 21
    assert place.progress(again)["cached"] == 20
    rows = place.output(again)
    assert {row["custom_id"] for row in rows} == {f"{i}-abc" for i in range(21)}
    for row in rows:
        said = row["response"]["body"]["choices"][0]["message"]["content"]
        assert said == f"re: q{row['id'].removeprefix('local-')}"


def test_a_second_sample_is_never_taken_from_the_first(place, fault_server):
    server = fault_server()
    for token in ("first", "second"):
        assert run(place, job(place, server, 5, token, temperature=1)) == "completed"
    assert set(server.asked.values()) == {2}


def test_another_request_or_another_server_is_another_answer(place, fault_server):
    one, two = fault_server(), fault_server()
    run(place, job(place, one, 5, "a", seed=1))
    run(place, job(place, one, 5, "b", seed=2))
    run(place, job(place, two, 5, "c", seed=1))
    assert (sum(one.asked.values()), sum(two.asked.values())) == (10, 5)


@pytest.mark.parametrize(("root", "asked_again"), [("org/model-7B", False), ("/models/7b", False), (None, True)])
def test_a_server_that_moved_to_another_port_is_the_same_where_it_names_its_model(
    place, fault_server, root, asked_again
):
    one, moved = fault_server(), fault_server()
    one.card = moved.card = {"root": root} if root else {}
    run(place, job(place, one, 5, "a", seed=1))
    run(place, job(place, moved, 5, "b", seed=1))
    assert sum(moved.asked.values()) == (5 if asked_again else 0)


@pytest.mark.parametrize(
    ("root", "is_same"),
    [("org/model-7B", True), ("/models/7b", False), ("./step-100", False), ("step-100", False), ("a/b/c", False)],
)
def test_a_path_is_one_hosts_and_a_hub_id_the_worlds(root, is_same):
    here, there = (identity(f"http://{host}:8000/v1", {"id": "m", "root": root}) for host in ("gpu1", "gpu2"))
    assert (here == there) is is_same


def test_another_checkpoint_behind_the_same_name_and_address_is_another_model(place, fault_server):
    server = fault_server()
    for token, root in (("a", "step-100"), ("b", "step-100"), ("c", "step-200"), ("d", "step-100")):
        server.card = {"root": root, "created": len(server.bodies)}
        run(place, job(place, server, 5, token, seed=1))
    assert set(server.asked.values()) == {2}


def test_another_version_of_the_engine_is_another_engine(place, fault_server):
    server = fault_server()
    server.card = {"owned_by": "vllm"}
    for token, version in (("a", "0.32.0"), ("b", "0.32.0"), ("c", "0.33.0")):
        server.extra["/version"] = {"version": version}
        run(place, job(place, server, 5, token, seed=1))
    assert set(server.asked.values()) == {2}


def test_nothing_is_kept_of_a_server_that_could_not_be_asked_what_it_serves(place, fault_server):
    server = fault_server()
    server.stop()
    first = job(place, server, 5, "a", seed=1)
    with (first / "worker.log").open("wb") as log:
        worker = subprocess.Popen([sys.executable, "-m", "batchflow.local.worker.worker", str(first)], stderr=log)
    until(lambda: b"kept answers are neither used nor written" in (first / "worker.log").read_bytes())
    server.start()
    assert worker.wait(60) == 0
    run(place, job(place, server, 5, "b", seed=1))
    assert set(server.asked.values()) == {2}


def test_answers_that_are_kept_already_are_not_gathered_to_be_kept_again(place, fault_server):
    """A million of them would fill the memory before the first report writes them down."""
    server = fault_server()
    run(place, job(place, server, 5, "a", seed=1))
    again = job(place, server, 5, "b", seed=1)
    work = Work(again, job_dir.load_spec(again), settings.load(place.project), Unleased())
    assert asyncio.run(work.run()) == "completed"
    assert work.standing.cached == 5
    assert work._cache._new == []
    work.close()


def test_it_can_be_left_out(place, fault_server):
    server = fault_server()
    for token in ("a", "b"):
        run(place, place.folder(5, place.rows(5, seed=1), token, base_url=server.url, cache=False))
    assert set(server.asked.values()) == {2}
    assert not list(place.project.rglob("cache.sqlite"))


def test_errors_are_not_kept_and_no_key_is(place, fault_server, act):
    server = fault_server(lambda text, before: act(400, {"error": "key-123456"}) if before == 0 else act())
    folder = job(place, server, 3, "a", seed=1)
    run(place, folder)
    run(place, job(place, server, 3, "b", seed=1))
    assert set(server.asked.values()) == {2}
    assert not any(b"key-123456" in p.read_bytes() for p in folder.parent.rglob("*") if p.is_file())


def test_an_answer_without_a_text_is_asked_again(place, fault_server, act):
    """`retry` sends the same bytes: a failure that was kept would be all that it ever gets."""
    empty = act(body={"choices": [{"finish_reason": "stop", "message": {"content": ""}}]})
    server = fault_server(lambda text, before: empty if before == 0 else act())
    for token in ("a", "b", "c"):
        assert run(place, job(place, server, 3, token, temperature=0)) == "completed"
    assert set(server.asked.values()) == {2}


def test_a_broken_file_costs_calls_and_no_row(place, fault_server):
    server = fault_server()
    folder = job(place, server, 5, "a", seed=1)
    (folder.parent / "cache.sqlite").write_bytes(b"this is no database, but long enough to be read as one" * 100)
    assert run(place, folder) == "completed"
    assert len(place.output(folder)) == 5


def test_two_writers_and_a_reader(tmp_path):
    one, two = (Cache(tmp_path / "c", scope("s")) for _ in range(2))
    assert not one.holds_any()
    one.put(b"q1", b"a1")
    two.put(b"q2", b"a2")
    two.put(b"q1", b"other")
    one.flush()
    two.flush()
    assert [two.get(q) for q in (b"q1", b"q2", b"q3")] == [b"a1", b"a2", None]
    other = Cache(tmp_path / "c", scope("else"))
    assert other.get(b"q1") is None
    other.close()
    one.close()
    two.close()
    assert one.get(b"q1") is None
