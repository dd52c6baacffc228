"""The server as any HTTP client meets it; the vendors' SDKs meet it in tests/vendors."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib import import_module

import httpx
import pytest
from helpers.until import until

from batchflow.errors import EngineError
from batchflow.rehearsal import registry, server
from batchflow.rehearsal.answers import Rule, oracle
from batchflow.rehearsal.fake_state import Pace
from batchflow.rehearsal.faults import Fault, Faults
from batchflow.settings import ACCESS, VENDORS

AUTH = {"authorization": f"Bearer {server.KEY}"}


def line(n, **body):
    content = [{"type": "text", "text": f"Question: riddle {n}?"}]
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **body}
    return json.dumps({"custom_id": f"r{n}", "method": "POST", "url": "/v1/chat/completions", "body": body})


class Shop:
    """OpenAI's protocol by hand."""

    def __init__(self, up):
        self.up = up
        self.http = httpx.Client(base_url=up.url("openai"), headers=AUTH, trust_env=False, timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()

    def create(self, rows=4, text=None):
        text = "\n".join(line(n) for n in range(rows)) if text is None else text
        file = self.http.post("/files", data={"purpose": "batch"}, files={"file": ("a.jsonl", text.encode())}).json()
        wanted = {"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"}
        return self.http.post("/batches", json=wanted).json()["id"]

    def poll(self, batch_id):
        return self.http.get(f"/batches/{batch_id}").json()


@pytest.fixture
def shop(tmp_path):
    with server.running(tmp_path) as up, Shop(up) as open_shop:
        yield open_shop


def test_the_environment_points_every_vendor_at_the_server():
    named = server.environment("http://127.0.0.1:9")
    assert named["BATCHFLOW_REHEARSAL"] == "1"
    for vendor in registry.MODULES:
        suffix = "/v1" if "openai" in {vendor, ACCESS[vendor].speaks} else ""
        assert named[ACCESS[vendor].base_urls[0]] == f"http://127.0.0.1:9/{vendor}{suffix}"
        assert named[ACCESS[vendor].keys[0]] == server.KEY
    assert set(registry.MODULES) == set(VENDORS)


def test_listing_the_vendors_imports_no_protocol():
    code = "import sys; from batchflow.rehearsal import faults; print(*(n for n in sys.modules if 'rehearsal.' in n))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) == {f"batchflow.rehearsal.{name}" for name in ("faults", "protocols", "registry")}


@pytest.mark.parametrize("vendor", registry.MODULES)
def test_any_other_key_is_refused_in_the_vendors_own_words(vendor, shop):
    routes = import_module(registry.MODULES[vendor]).ROUTES
    path = next(route.path for route in reversed(routes) if route.verb == "list").replace("{v}", "v1beta")
    right = {"gemini": {"x-goog-api-key": server.KEY}, "anthropic": AUTH | {"anthropic-version": "2026-10-21"}}.get(
        vendor, AUTH
    )
    misplaced = {"x-key": server.KEY} if vendor != "gemini" else AUTH
    for headers, status in ((right, 200), (dict.fromkeys(right, "wrong"), 401), (misplaced, 401), ({}, 401)):
        answer = httpx.get(f"{shop.up.base}/{vendor}{path}", headers=headers, trust_env=False)
        assert answer.status_code == status
        assert status == 200 or answer.json()


def test_a_batch_ends_at_its_second_poll(shop):
    batch_id = shop.create()
    assert [shop.poll(batch_id)["status"] for _ in range(3)] == ["in_progress", "completed", "completed"]


def test_a_batch_may_take_its_time(tmp_path):
    with server.running(tmp_path / "hours", pace=Pace(polls=1, seconds=3600)) as up, Shop(up) as shop:
        batch_id = shop.create()
        assert [shop.poll(batch_id)["status"] for _ in range(3)] == ["in_progress"] * 3
    with server.running(tmp_path / "moment", pace=Pace(polls=1, seconds=0.3)) as up, Shop(up) as shop:
        began = time.monotonic()
        batch_id = shop.create()
        until(lambda: shop.poll(batch_id)["status"] == "completed")
        assert time.monotonic() - began >= 0.3


def test_right_answers_come_from_the_oracle(tmp_path):
    rule = Rule(right=1.0, oracle=oracle([("riddle 0?", "zero"), ("riddle 1?", "one")]))
    with server.running(tmp_path, rule=rule) as up, Shop(up) as shop:
        batch_id = shop.create(rows=2)
        shop.poll(batch_id)
        file_id = shop.poll(batch_id)["output_file_id"]
        rows = [json.loads(row) for row in shop.http.get(f"/files/{file_id}/content").text.splitlines()]
        texts = [row["response"]["body"]["choices"][0]["message"]["content"] for row in rows]
        assert texts == ["zero", "one"]


def test_a_server_started_again_on_its_folder_goes_on(tmp_path):
    with server.running(tmp_path) as up, Shop(up) as shop:
        batch_id = shop.create()
        shop.poll(batch_id)
    with server.running(tmp_path) as up, Shop(up) as shop:
        done = shop.poll(batch_id)
        assert done["status"] == "completed"
        assert shop.http.get(f"/files/{done['output_file_id']}/content").text.count("\n") == 4
        assert [made.job_id for made in up.site.creates] == [batch_id]
        assert up.site.creates[0].custom_ids == ("r0", "r1", "r2", "r3")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"{line(1)}\n{line(1)}", "duplicate_custom_id"),
        (f"{line(1)}\n{{broken", "invalid_json_line"),
        ("[1]", "invalid_json_line"),
        (f"{line(1)}\n{line(2, model='other')}", "mismatched_model"),
        ("\n", "empty_file"),
        ('{"custom_id": 3}', "invalid_url"),
    ],
)
def test_validation_is_as_strict_as_the_vendors(shop, text, code):
    batch_id = shop.create(text=text)
    failed = shop.poll(batch_id)
    assert failed["status"] == "failed"
    assert failed["errors"]["data"][0]["code"] == code


def test_a_reset_leaves_the_connection_without_an_answer(tmp_path):
    with server.running(tmp_path, faults=Faults([Fault("reset", call="list")])) as up, Shop(up) as shop:
        with pytest.raises(httpx.TransportError):
            shop.http.get("/batches")
        assert shop.http.get("/batches").status_code == 200


def test_a_slow_answer_comes_whole(tmp_path):
    faults = Faults([Fault("trickle", call="list", seconds=0.2), Fault("hang", call="poll", seconds=0.2)])
    with server.running(tmp_path, faults=faults) as up, Shop(up) as shop:
        began = time.monotonic()
        assert shop.http.get("/batches").json()["data"] == []
        assert shop.http.get("/batches/none").status_code == 404
        assert time.monotonic() - began > 0.35


def test_one_of_two_faults_counts_for_itself(tmp_path):
    faults = [
        Fault("status", call="list", status=503),
        Fault("status", call="list", nth=2, status=502, retry_after="1"),
    ]
    with server.running(tmp_path, faults=Faults(faults)) as up, Shop(up) as shop:
        answers = [shop.http.get("/batches") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [503, 502, 200]
        assert answers[1].headers["retry-after"] == "1"
        assert "retry-after" not in answers[0].headers


def test_a_port_that_is_taken_is_told(shop):
    port = int(shop.up.base.rsplit(":", 1)[1])
    with pytest.raises(EngineError, match=str(port)) as caught, server.running(port=port):
        pass
    assert "--port" in caught.value.hint


def test_serving_in_the_foreground_ends_with_an_interrupt():
    code = (
        "import os, signal, threading\n"
        "from batchflow.rehearsal.server import serve\n"
        "def ready(up):\n"
        "    print(up.environment['OPENAI_BASE_URL'], flush=True)\n"
        "    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background job ignores it
        "serve(port=0, ready=ready)\n"
        "print('over')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("http://127.0.0.1:")
    assert done.stdout.endswith("over\n")
    assert done.stderr == ""


def test_names_cannot_leave_the_folder(shop, tmp_path):
    site = shop.up.site
    held = site.keep("openai", b"x", id="../../../escape", name="../../name")
    assert site.path("openai", held.id).resolve().is_relative_to(tmp_path.resolve())
    assert not list(tmp_path.parent.glob("escape*"))


def test_two_thousand_rows_are_all_answered(shop):
    batch_id = shop.create(rows=2000)
    shop.poll(batch_id)
    assert shop.poll(batch_id)["request_counts"]["completed"] == 2000
