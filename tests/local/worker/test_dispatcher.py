"""The sliding window against a server with every fault that we know of: each row ends once, none is lost."""

import collections
import itertools
import random
import time

import pytest

from batchflow import settings
from batchflow.local.worker.worker import work_off

N = 60


def run(place, folder, environ=None) -> str:
    return work_off(folder, settings.load(place.project, environ or {}))


def assert_whole(place, folder, n=N):
    rows = place.output(folder)
    assert sorted(row["id"] for row in rows) == sorted(f"local-{i}" for i in range(n))
    for row in rows:
        assert row["custom_id"] == f"{row['id'].removeprefix('local-')}-abc"
    return rows


def answered(rows):
    return [row for row in rows if row["error"] is None and row["response"]["status_code"] == 200]


def test_every_row_is_answered_once_with_its_own_answer(place, fault_server):
    server = fault_server()
    folder = place.folder(N, base_url=server.url, concurrency=8)
    assert run(place, folder) == "completed"
    for row in assert_whole(place, folder):
        said = row["response"]["body"]["choices"][0]["message"]["content"]
        assert said == f"re: q{row['id'].removeprefix('local-')}"
    assert set(server.asked.values()) == {1}
    assert server.connections <= 8
    assert place.progress(folder)["done"] == N


FAULTS = {
    "429 storm": lambda act: act(429, {"error": {"message": "slow down"}}),
    "429 with a wish": lambda act: act(429, {"error": {"message": "slow down"}}, {"Retry-After": "0.02"}),
    "500": lambda act: act(500, {"object": "error", "message": "flat", "code": 500}),
    "503 while loading": lambda act: act(503, {"error": {"code": 503, "message": "Loading model"}}),
    "an HTML page": lambda act: act(502, "<html>bad gateway</html>"),
    "a success without choices": lambda act: act(200, {"object": "error", "message": "odd"}),
    "a success with an empty list": lambda act: act(200, {"choices": []}),
    "a choice that is none": lambda act: act(200, {"choices": [None]}),
    "an engine that gives up": lambda act: act(200, {"choices": [{"finish_reason": "abort", "message": {}}]}),
    "a success that is a 429": lambda act: act(200, {"error": {"code": 429, "message": "slow down"}}),
    "reset": lambda act: act(how="reset"),
    "garbage": lambda act: act(how="garbage"),
    "a reply that is cut": lambda act: act(how="cut"),
    "hang": lambda act: act(how="hang"),
    "a reply that drips": lambda act: act(how="drip"),
}
LATE = {"hang", "a reply that drips"}  # only the timeout ends these, so fewer rows meet them
FULL = {"429 storm", "429 with a wish", "503 while loading", "a success that is a 429"}  # these halve the window


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_cost_tries_not_rows(place, fault_server, act, fault):
    """Each row meets the fault with probability 0.4 on each of its first tries."""
    dice = random.Random(fault)
    bad = FAULTS[fault](act)
    server = fault_server(lambda text, before: bad if before < 3 and dice.random() < 0.4 else act(after_s=0.002))
    rows, timeout_s = (N // 4, "300ms") if fault in LATE else (N, "20s")
    folder = place.folder(rows, base_url=server.url, concurrency=8, timeout_s=timeout_s)
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder, rows))) == rows
    assert place.progress(folder)["retries"] == sum(server.asked.values()) - rows > 0


@pytest.mark.parametrize("how", ["chunked", "until_close", "trickle"])
def test_every_framing_of_a_reply_is_read(place, fault_server, act, how):
    server = fault_server(lambda text, before: act(how=how))
    folder = place.folder(N, base_url=server.url, concurrency=8)
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder))) == N
    assert set(server.asked.values()) == {1}


def test_a_row_that_exhausts_its_tries_is_an_error_row_and_the_others_go_on(place, fault_server, act):
    server = fault_server(lambda text, before: act(500, {"error": {"message": "boom"}}) if text == "q7" else act())
    folder = place.folder(N, base_url=server.url, concurrency=8, retries=3)
    assert run(place, folder) == "completed"
    rows = assert_whole(place, folder)
    assert len(answered(rows)) == N - 1
    (bad,) = [row for row in rows if row["id"] == "local-7"]
    assert bad["response"] == {"status_code": 500, "body": {"error": {"message": "boom"}}}
    assert server.asked["q7"] == 4
    assert place.progress(folder)["errors"] == 1


def test_a_wrong_row_fails_at_once(place, fault_server, act):
    server = fault_server(lambda text, before: act(400, {"error": {"message": "too long"}}) if text == "q7" else act())
    folder = place.folder(N, base_url=server.url, concurrency=4)
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder))) == N - 1
    assert server.asked["q7"] == 1


@pytest.mark.parametrize(("status", "spent"), [(401, 0), (402, 0), (403, 0), (404, 4)])
def test_a_server_that_comes_back_with_another_model_or_key_does_not_use_up_the_rows(
    place, fault_server, act, status, spent
):
    """Key, money and permission cost no row; for a missing model or path the first rows may be to blame."""
    changed = act(status, {"object": "error", "message": "The model `m` does not exist.", "code": status})
    server = fault_server(lambda text, before: changed if int(text[1:]) >= 10 and not server.asked["mended"] else act())
    folder = place.folder(N, base_url=server.url, concurrency=1)
    assert run(place, folder) == "stopped"
    assert "does not exist" in place.progress(folder)["error"]
    assert [row["id"] for row in place.output(folder)] == [f"local-{i}" for i in range(10 + spent)]
    server.asked["mended"] = 1
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder))) == N - spent


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_key_that_expires_at_one_endpoint_of_two_costs_no_row(place, fault_server, act, status):
    refused = act(status, {"error": {"message": "the key expired"}})
    ill = fault_server(lambda text, before: refused if sum(ill.asked.values()) > 5 else act(after_s=0.005))
    good = fault_server(lambda text, before: act(after_s=0.005))
    folder = place.folder(N, base_url=[ill.url, good.url], concurrency=8)
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder))) == N
    assert max((ill.asked + good.asked).values()) <= 2  # at each endpoint once


def test_404_for_one_row_among_answered_ones_is_that_rows_error(place, fault_server, act):
    server = fault_server(lambda text, before: act(404, {"message": "gone"}) if text == "q9" else act())
    folder = place.folder(N, base_url=server.url, concurrency=1)
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder))) == N - 1
    assert server.asked["q9"] == 1


@pytest.mark.parametrize("wrong", [1, 4, 20])
@pytest.mark.parametrize("width", [1, N])
def test_rows_that_a_gateway_forbids_hold_up_no_other_and_are_left_undone(place, fault_server, act, wrong, width):
    """A firewall that takes a row for an attack says 403 at once; whose fault that is, a person has to decide."""
    blocked = act(403, {"message": "blocked"})
    server = fault_server(lambda text, before: blocked if int(text[1:]) < wrong and not server.asked["open"] else act())
    folder = place.folder(N, base_url=server.url, concurrency=width)
    assert run(place, folder) == "stopped"
    assert len(answered(place.output(folder))) == len(place.output(folder)) == N - wrong
    assert all(server.asked[f"q{i}"] == 1 for i in range(N))
    assert f"{wrong} row" in place.progress(folder)["error"]
    assert "HTTP 403: blocked" in place.progress(folder)["error"]
    server.asked["open"] = 1
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder))) == N


class Room:
    """A server that works on `size` requests at once, and turns every further one away at once."""

    def __init__(self, size, act, wish=None, status=429):
        self.size, self.act, self.status = size, act, status
        self.headers = {"Retry-After": wish} if wish else {}
        self.server = None
        self.turned_away = self.most = 0

    def __call__(self, text, before):
        taken = self.server.in_flight
        if taken > self.size:
            self.turned_away += 1
            return self.act(self.status, {"error": {"message": "full"}}, self.headers)
        self.most = max(self.most, taken)
        return self.act(after_s=0.02)


@pytest.mark.parametrize("wish", [None, "1"])
@pytest.mark.parametrize(("size", "asked"), [(16, 64), (3, 64)])
def test_a_server_with_less_room_than_asked_for_stays_full_and_is_hardly_asked_in_vain(
    place, fault_server, act, size, asked, wish
):
    n = 600
    room = Room(size, act, wish)
    room.server = fault_server(room)
    folder = place.folder(n, base_url=room.server.url, concurrency=asked, retries=0)
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder, n))) == n  # no try is counted: `retries` is 0
    assert room.turned_away < n  # a window that does not adapt is turned away many times a row
    assert room.most == size


def test_a_wrong_key_stops_the_job_keeps_every_row_and_never_shows_the_key(place, fault_server):
    server = fault_server(key="right-key-123")
    folder = place.folder(N, base_url=server.url, concurrency=8)
    assert run(place, folder, {"BATCHFLOW_LOCAL_API_KEY": "wrong-key-456"}) == "stopped"
    assert place.output(folder) == []
    seen = place.progress(folder)
    assert "401" in seen["error"]
    assert "Unauthorized" in seen["error"]
    assert not any(b"wrong-key-456" in path.read_bytes() for path in folder.iterdir())
    assert run(place, folder, {"BATCHFLOW_LOCAL_API_KEY": "right-key-123"}) == "completed"
    assert_whole(place, folder)


def test_a_bad_endpoint_beside_a_good_one_costs_no_row(place, fault_server, act):
    good = fault_server(lambda text, before: act(after_s=0.005))
    bad = fault_server(lambda text, before: act(500, {"error": {"message": "broken"}}))
    folder = place.folder(N, base_url=[bad.url, good.url], concurrency=8)
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder))) == N
    assert sum(bad.asked.values()) < N / 2  # the circuit breaker gave it a rest


def test_an_endpoint_without_our_model_is_closed_after_its_first_words(place, fault_server, act):
    good = fault_server(lambda text, before: act(after_s=0.002))
    alien = fault_server(lambda text, before: act(404, {"error": {"message": "The model `m` does not exist."}}))
    folder = place.folder(N, base_url=[alien.url, good.url], concurrency=8)
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder))) == N
    assert sum(alien.asked.values()) <= 8


def test_two_endpoints_share_the_load(place, fault_server, act):
    servers = [fault_server(lambda text, before: act(after_s=0.005)) for _ in range(2)]
    folder = place.folder(N, base_url=",".join(s.url for s in servers), concurrency=8, per_endpoint=4)
    assert run(place, folder) == "completed"
    assert_whole(place, folder)
    assert all(sum(server.asked.values()) > N / 4 for server in servers)
    assert all(max(count for _, count in server.curve) <= 4 for server in servers)


def test_samples_of_an_item_meet_at_one_endpoint_and_both_stay_full(place, fault_server, gate):
    items, samples, width = 80, 4, 24
    door = gate(width, calls=270, slow=6)
    servers = [fault_server(gate=door) for _ in range(2)]
    texts = [f"{'Think well. ' * 100}item {i // samples}" for i in range(items * samples)]
    source = place.asking(texts, temperature=1)
    folder = place.folder(len(texts), source, base_url=[s.url for s in servers], concurrency=width)
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder, len(texts)))) == len(texts)
    here, there = (server.asked for server in servers)
    assert sum(not (here[text] and there[text]) for text in set(texts)) >= 0.6 * items  # by chance: 1 in 8
    assert door.starved == 0
    assert all(server.mean_in_flight() >= 0.75 * width / 2 for server in servers)
    assert sum(server.mean_in_flight() for server in servers) >= 0.9 * width


def test_an_endpoint_that_falls_ill_does_not_keep_the_rows_that_it_knows(place, fault_server, act):
    boom = act(500, {"error": {"message": "broken"}})
    good = fault_server(lambda text, before: act(after_s=0.01))
    ill = fault_server(lambda text, before: boom if sum(ill.asked.values()) > 20 else act(after_s=0.01))
    texts = [f"item {i % 5}" for i in range(200)]  # each of the five was read by both, or by the one that falls ill
    folder = place.folder(200, place.asking(texts), base_url=[ill.url, good.url], concurrency=8, retries=3)
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder, 200))) == 200
    assert sum(ill.asked.values()) < 50


def test_a_server_that_dies_and_returns_loses_nothing(place, fault_server, act):
    import threading

    answers = collections.Counter()
    died = threading.Event()

    def behave(text, before):
        answers["n"] += 1
        if answers["n"] == 25:
            died.set()
        return act(after_s=0.003)

    server = fault_server(behave)
    folder = place.folder(N, base_url=server.url, concurrency=6)

    def kill_and_revive():
        died.wait(60)
        server.stop()
        server.start()

    nurse = threading.Thread(target=kill_and_revive)
    nurse.start()
    assert run(place, folder) == "completed"
    nurse.join()
    assert len(answered(assert_whole(place, folder))) == N


def test_a_server_that_never_returns_stops_the_job_with_its_last_words(place, fault_server):
    server = fault_server()
    server.stop()
    folder = place.folder(N, base_url=server.url, concurrency=6, outage_s="300ms")
    assert run(place, folder) == "stopped"
    seen = place.progress(folder)
    assert "no endpoint has answered" in seen["error"]
    assert seen["done"] == 0
    server.start()
    assert run(place, folder) == "completed"
    assert_whole(place, folder)


def test_the_window_stays_full_through_faults(place, fault_server, act, gate):
    """The first try of each seventh row meets one of all faults that end by themselves and do not tell of no room."""
    n, width = 800, 32
    faults = itertools.cycle(FAULTS[name](act) for name in sorted(FAULTS.keys() - LATE - FULL))
    door = gate(width, calls=n, slow=8)  # the retries come on top of them
    server = fault_server(
        lambda text, before: next(faults) if before == 0 and int(text[1:]) % 7 == 0 else act(), gate=door
    )
    folder = place.folder(n, base_url=server.url, concurrency=width)
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder, n))) == n
    assert door.starved == 0
    assert server.mean_in_flight() >= 0.9 * width
    assert max(count for _, count in server.curve) <= width


@pytest.mark.parametrize("fault", ["500", "reset", "429 storm", "hang"])
def test_one_bad_endpoint_of_two_leaves_the_good_one_full(place, fault_server, act, gate, fault):
    """A hanging one holds the slots that it was given until their time is up, hence a window with room for both."""
    n, width = 400, 16
    door = gate(width, calls=340)
    good = fault_server(gate=door)
    bad = fault_server(lambda text, before: FAULTS[fault](act))
    urls = [bad.url, good.url]
    folder = place.folder(n, base_url=urls, concurrency=2 * width, per_endpoint=width, timeout_s="2s")
    assert run(place, folder) == "completed"
    assert len(answered(assert_whole(place, folder, n))) == n
    assert door.starved == 0
    assert good.mean_in_flight() >= 0.85 * width


def test_the_patience_that_one_endpoint_asks_for_does_not_hold_up_the_other(place, fault_server, act):
    patient = fault_server(lambda text, before: act(429, {"error": {"message": "busy"}}, {"Retry-After": "60"}))
    free = fault_server()
    folder = place.folder(8, base_url=[patient.url, free.url], concurrency=4)
    began = time.monotonic()
    assert run(place, folder) == "completed"
    assert time.monotonic() - began < 20
    assert len(answered(assert_whole(place, folder, 8))) == 8
    assert 0 < sum(patient.asked.values()) <= 4


def test_a_correction_moves_the_turns_of_rows_that_wait(place, fault_server):
    """Eight rows of 10,000 tokens at most, 10 used: by the estimates the last would begin after 70 s."""
    server = fault_server()
    source = place.rows(8, max_tokens=10_000)
    folder = place.folder(8, source, base_url=server.url, concurrency=8, tpm=60_000)
    began = time.monotonic()
    assert run(place, folder) == "completed"
    assert time.monotonic() - began < 35


def test_requests_per_second_are_limited(place, fault_server):
    """Forty gaps of 10 ms, counted from before the first: a machine that pauses only adds to them."""
    server = fault_server()
    folder = place.folder(41, base_url=server.url, concurrency=41, rps=100)
    began = time.monotonic()
    assert run(place, folder) == "completed"
    assert max(at for at, _ in server.curve) - began >= 0.4


def test_tokens_per_minute_are_limited_by_what_was_really_used(place, fault_server):
    """By the estimates alone the last of ten rows would begin after 90 s."""
    server = fault_server()
    source = place.rows(10, max_tokens=10_000)  # estimated at about 10,000 each, used: 10
    folder = place.folder(10, source, base_url=server.url, concurrency=1, tpm=60_000)
    began = time.monotonic()
    assert run(place, folder) == "completed"
    assert 9 * 10 / 1_000 <= time.monotonic() - began < 45


def test_completion_mode_renders_a_template_and_reads_back_as_chat(place, fault_server):
    server = fault_server()
    folder = place.folder(3, base_url=server.url, mode="completion", template="r1")
    assert run(place, folder) == "completed"
    assert {body["prompt"] for body in server.bodies} == {
        f"<｜begin▁of▁sentence｜><｜User｜>q{i}<｜Assistant｜><think>\n" for i in range(3)
    }
    assert all(body["max_tokens"] == 1024 and body["stop"] and "messages" not in body for body in server.bodies)
    said = [r["response"]["body"]["choices"][0]["message"]["content"] for r in place.output(folder)]
    assert all(text.startswith("re: ") for text in said)  # came to its end without a thought


def test_an_input_that_changed_is_not_run(place, fault_server):
    server = fault_server()
    folder = place.folder(3, base_url=server.url)
    place.rows(3, temperature=2)
    assert run(place, folder) == "failed"
    assert "changed" in place.progress(folder)["error"]
    assert not server.asked
