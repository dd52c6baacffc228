"""rehearse --certify: the rehearsed OpenAI passes every check; faults of real gateways have their rows."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jsonschema
import pytest
from helpers import schemas

from batchflow.cli.cards.batches import card
from batchflow.errors import UsageError
from batchflow.steps.workers.certifying.batch_server import BatchServer
from batchflow.steps.workers.certifying.certify import PAID, certify, refuse_paid

KEY = "gateway-key-of-nobody"


class Gateway(BaseHTTPRequestHandler):
    """A server that answers each batch at once, with the faults that its `manner` names."""

    def log_message(self, *_: object) -> None:
        return None

    def do_POST(self) -> None:
        manner, held = self.server.manner, self.server.held
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/files":
            file_id = f"file-{uuid.uuid4().hex}"
            held[file_id] = body.split(b"\r\n\r\n", 2)[2].rpartition(b"\r\n--")[0]
            return self._send(200, {"id": file_id})
        if self.path.endswith("/cancel"):
            batch = held[self.path.split("/")[3]]
            return self._send(500 if "no cancel" in manner else 200, batch)
        asked = json.loads(body)
        if "echo" in manner:
            return self._send(400, {"error": f"refused {self.headers['Authorization']}"})
        batch = self._batch(asked, manner, held)
        held[batch["id"]] = batch
        return self._send(200, batch)

    def _batch(self, asked, manner, held):
        lines = held[asked["input_file_id"]].splitlines()
        batch = {"id": f"batch-{uuid.uuid4().hex}", "input_file_id": asked["input_file_id"], "status": "completed"}
        batch |= {"metadata": None if "no tags" in manner else asked["metadata"], "expires_at": None, "errors": None}
        try:
            rows = [self._row(json.loads(line), manner) for line in lines]
        except ValueError:
            return batch | {
                "status": "failed",
                "error_file_id": "file-gone",
                "errors": {"data": [{"message": "no JSON"}]},
            }
        rows = rows[::-1] if "backward" in manner else rows
        output = f"file-{uuid.uuid4().hex}"
        held[output] = b"".join(json.dumps(row).encode() + b"\n" for row in (rows[:3] if "short" in manner else rows))
        counts = {"total": 0, "completed": 0, "failed": 0} if "no counts" in manner else {}
        counts = counts or {"total": len(rows), "completed": len(rows), "failed": 0}
        return batch | {"output_file_id": output, "request_counts": counts}

    def _row(self, line, manner):
        if "errors" in manner or ("some errors" in manner and line["custom_id"].startswith("c0")):
            error = {"code": "x", "message": "no engine \x1b[31mis\nup"}
            return {"custom_id": line["custom_id"], "response": None, "error": error}
        if "dry run" in manner:
            return {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": line["body"]}}
        body = {"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
        if "no usage" in manner:
            del body["usage"]
        custom_id = line["custom_id"][:32] if "cut ids" in manner else line["custom_id"]
        body = json.dumps(body) if "text" in manner else body
        return {"custom_id": custom_id, "response": {"status_code": 200, "body": body}, "error": None}

    def do_GET(self) -> None:
        manner, held = self.server.manner, self.server.held
        if self.path.startswith("/v1/batches?"):
            listed = [] if "no list" in manner else [each for each in held.values() if isinstance(each, dict)]
            return self._send(200, {"data": listed})
        thing = held.get(self.path.removesuffix("/content").rpartition("/")[2])
        if isinstance(thing, dict) and "scheduling" in manner and thing["id"] not in self.server.looked_at:
            self.server.looked_at.add(thing["id"])
            return self._send(200, {**thing, "status": "scheduling"})
        return self._send(404, {"error": "no such thing"}) if thing is None else self._send(200, thing)

    def _send(self, status: int, value: object) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):  # the create that nobody waits for
            self.wfile.write(body)


@contextmanager
def gateway(*manner: str):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gateway)
    server.manner, server.held, server.looked_at = set(manner), {}, set()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def verdicts(report):
    return {check.check: check.verdict.value for check in report.checks if check.verdict.value != "pass"}


def table(url, *, kills=False):
    said = []
    report = certify(BatchServer(url, KEY), "m", say=said.append, kills=kills, poll_s=0.0, listed_s=0.0)
    assert "at most 16 requests in 7 small batches" in said[0]
    return report


def test_the_rehearsed_openai_passes_every_check(vendor):
    url = vendor.project.environment["OPENAI_BASE_URL"]
    words = ("rehearse", "--certify", url, "--certify-model", "gpt-6-luna", "--certify-key", "OPENAI_API_KEY")
    document = vendor.project.ok(*words)
    jsonschema.validate(document, schemas.closed(schemas.schemas()["rehearse-certify"]))
    assert {check["verdict"] for check in document["checks"]} == {"pass"}
    assert (document["usable"], document["requests"], len(document["checks"])) == (True, 16, 19)
    seen = {check["check"]: check["seen"] for check in document["checks"]}
    assert seen["rows were answered"] == "8 of 8"
    assert seen["killed after the upload"] == seen["killed in the create"] == "1 create by the next start"
    assert seen["killed in the download"] == "2 of 2 rows"
    assert len(vendor.site.creates) == 7


# OGX 1.5.0: bodies as text, counts that stand still. AIBrix 0.8.0, dry run: a status word of its own, no usage
OGX = ("text", "no counts")
AIBRIX = ("scheduling", "no usage")
LOST_IDS = {"long custom_id": "fault", "order of rows": "differs"}


@pytest.mark.parametrize(
    ("manner", "usable", "differs"),
    [
        (OGX, True, {"response.body": "differs", "counts": "differs"}),
        (AIBRIX, True, {"status words": "differs", "usage": "differs"}),
        (("backward", "no cancel"), True, {"order of rows": "differs", "cancel": "differs"}),
        (("some errors",), True, {"rows were answered": "differs", "response.body": "pass", "usage": "pass"}),
        (("no tags",), True, {"list and tags": "differs"}),
        (("no list",), False, {"list and tags": "fault"}),
        (
            ("short",),
            False,
            {"output and error files": "differs", "rows were answered": "differs", **LOST_IDS},
        ),
        (
            ("cut ids",),
            False,
            {"output and error files": "differs", "rows were answered": "differs", **LOST_IDS},
        ),
    ],
)
def test_each_manner_of_a_gateway_has_its_row(manner, usable, differs):
    with gateway(*manner) as url:
        report = table(url)
    always = {"expiry": "differs", "files of a failed batch": "differs"}  # of this stand-in
    expected = {**always, **differs}
    assert verdicts(report) == {check: verdict for check, verdict in expected.items() if verdict != "pass"}
    assert report.usable is usable


def test_a_server_that_answers_no_row_cannot_be_used_and_its_errors_are_safe_to_show():
    for manner, seen in (
        ("errors", "0 of 8; x: no engine \ufffd[31mis up"),
        ("dry run", "0 of 8; no text in the answer (stopped: the vendor does not say why)"),
    ):
        with gateway(manner) as url:
            report = table(url)
        assert verdicts(report)["rows were answered"] == "fault"
        shown = card(report)
        assert shown.title == "batchflow cannot rely on it"
        row = next(cells for cells in shown.table if cells[0] == "rows were answered")
        assert row[2] == seen
        assert row[2].isprintable()


def test_a_kill_that_the_server_makes_hard_to_mend_is_a_fault():
    with gateway("no list") as url:
        rows = {check.check: check for check in table(url, kills=True).checks}
    assert rows["killed after the upload"].verdict.value == "pass"
    assert rows["killed in the create"].seen == "2 creates by the next start"
    assert rows["killed in the create"].meaning == "the batch is sent twice"
    assert rows["killed in the download"].seen == "2 of 2 rows"


def test_a_refusal_is_a_fault_with_an_exit_code_and_shows_no_key(project):
    project.environment["GATEWAY_KEY"] = KEY
    with gateway("echo") as url:
        words = ("rehearse", "--certify", url, "--certify-model", "m", "--certify-key", "GATEWAY_KEY")
        ran = project.run(*words)
    assert ran.code == 1
    assert "refused Bearer ***" in " ".join(ran.out.split())
    assert KEY not in ran.out + ran.err
    assert "no reply" in project.refused(5, *words)


@pytest.mark.parametrize("host", [f"api.{host}" for host in PAID])
def test_a_paid_host_is_refused(host):
    with pytest.raises(UsageError, match="would be paid for"):
        refuse_paid(f"https://{host}/v1", host)


def test_what_cannot_be_asked_is_refused_before_anything_is_sent(project):
    url = "https://api.openai.com/v1"
    assert "--certify-paid" in project.refused(2, "rehearse", "--certify", url, "--certify-model", "m")
    local = ("rehearse", "--certify", "http://127.0.0.1:9/v1")
    assert "needs a model" in project.refused(2, *local)
    assert "not set" in project.refused(2, *local, "--certify-model", "m", "--certify-key", "NOBODYS_KEY")
    assert "not the base URL" in project.refused(2, "rehearse", "--certify", "ftp://x", "--certify-model", "m")
