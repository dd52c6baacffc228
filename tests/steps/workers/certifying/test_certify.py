"""rehearse --certify: the rehearsed OpenAI passes every check; faults of real gateways have their rows."""

from __future__ import annotations

import jsonschema
import pytest
from helpers import schemas
from helpers.gateway import gateway

from batchflow.cli.cards.batches import card
from batchflow.errors import UsageError
from batchflow.steps.workers.certifying.batch_server import BatchServer
from batchflow.steps.workers.certifying.certify import PAID, certify, refuse_paid

KEY = "gateway-key-of-nobody"


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
    assert (document["usable"], document["requests"], len(document["checks"])) == (True, 16, 20)
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
        (("offsets",), True, {"list goes on": "differs"}),
        (("one page",), True, {"list goes on": "differs"}),
        (("no list",), False, {"list and tags": "fault", "list goes on": "differs"}),
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
    with gateway(*manner) as (url, _):
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
        with gateway(manner) as (url, _):
            report = table(url)
        assert verdicts(report)["rows were answered"] == "fault"
        shown = card(report)
        assert shown.title == "batchflow cannot rely on it"
        row = next(cells for cells in shown.table if cells[0] == "rows were answered")
        assert row[2] == seen
        assert row[2].isprintable()


def test_a_kill_that_the_server_makes_hard_to_mend_is_a_fault():
    with gateway("no list") as (url, _):
        rows = {check.check: check for check in table(url, kills=True).checks}
    assert rows["killed after the upload"].verdict.value == "pass"
    assert rows["killed in the create"].seen == "2 creates by the next start"
    assert rows["killed in the create"].meaning == "the batch is sent twice"
    assert rows["killed in the download"].seen == "2 of 2 rows"


def test_a_refusal_is_a_fault_with_an_exit_code_and_shows_no_key(project):
    project.environment["GATEWAY_KEY"] = KEY
    with gateway("echo") as (url, _):
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
