"""Gemini: its bodies, its rows, and what only its protocol does."""

from __future__ import annotations

import dataclasses

import pytest
from google.genai import types

from batchflow.errors import Trouble, UsageError
from batchflow.records import Capabilities, Image, Outcome, Params, Phase, Request, Schema
from batchflow.rehearsal.faults import Fault
from batchflow.rehearsal.protocols import gemini as rehearsed
from batchflow.vendors import gemini

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "why": {"type": ["string", "null"], "const": "x"},
        "list": {"type": "array", "items": {"type": "object", "additionalProperties": False}},
        "either": {"anyOf": [{"type": "integer", "$ref": "#"}]},
        "some": {"type": ["integer", "null"], "enum": [1, 2, None]},
        "few": {"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "string", "maxLength": 9}},
    },
    "required": ["why"],
    "additionalProperties": False,
}
REQUEST = Request("r1", "gemini-4-carbon", "Be brief.", ("Question?", Image("image/png", "QUJD")), Schema("a", SCHEMA))
CAN = Capabilities(known=True, images=True, levels=("low",), schema="response_schema", min_tokens=2048)
ENDPOINT = gemini.ENDPOINTS[0]


def params(**given):
    return dataclasses.replace(REQUEST, params=Params(**given))


def test_a_line_in_the_spelling_that_files_take():
    line = gemini.encode(params(thinking_level="low", max_tokens=5), CAN, ENDPOINT)
    assert line["key"] == "r1"
    request = line["request"]
    assert request["system_instruction"]["parts"][0]["text"].startswith("Be brief.")
    assert request["contents"][0]["parts"][1] == {"inline_data": {"mime_type": "image/png", "data": "QUJD"}}
    config = request["generation_config"]
    assert config["thinking_config"] == {"thinking_level": "LOW"}
    assert config["max_output_tokens"] == 2048
    assert config["response_mime_type"] == "application/json"
    assert not {"temperature", "candidate_count", "response_json_schema"} & config.keys()


def test_an_empty_system_text_is_left_out():
    bare = dataclasses.replace(REQUEST, system="", schema=None)
    assert "system_instruction" not in gemini.encode(bare, CAN, ENDPOINT)["request"]


def test_the_schema_becomes_the_subset_that_batches_heed():
    sent = gemini.encode(REQUEST, CAN, ENDPOINT)["request"]["generation_config"]["response_schema"]
    assert sent == {
        "type": "OBJECT",
        "properties": {
            "why": {"type": "STRING", "nullable": True},
            "list": {"type": "ARRAY", "items": {"type": "OBJECT"}},
            "either": {"any_of": [{"type": "INTEGER"}]},
            "some": {"type": "INTEGER", "enum": ["1", "2"], "nullable": True},
            "few": {
                "type": "ARRAY", "min_items": 1, "max_items": 2, "items": {"type": "STRING", "max_length": 9},
            },
        },
        "required": ["why"],
        "property_ordering": ["why", "list", "either", "some", "few"],
    }  # fmt: skip
    assert types.Schema.model_validate(sent).properties["some"].enum == ["1", "2"]


@pytest.mark.parametrize(("how", "field"), [("response_json_schema", "response_json_schema"), ("prompt", None)])
def test_the_schema_field_is_configuration(how, field):
    can = dataclasses.replace(CAN, schema=how)
    config = gemini.encode(REQUEST, can, ENDPOINT)["request"].get("generation_config", {})
    assert {name for name in config if name.endswith("schema")} == ({field} if field else set())


def test_a_level_and_a_budget_exclude_each_other():
    can = dataclasses.replace(CAN, budget=True)
    budget = gemini.encode(params(thinking_budget=0), can, ENDPOINT)["request"]["generation_config"]["thinking_config"]
    assert budget == {"thinking_budget": 0}
    with pytest.raises(UsageError, match="--thinking-budget"):
        gemini.check(params(thinking_budget=0, thinking_level="low"), can, ENDPOINT, None)


def test_a_seed_that_is_no_int32_is_refused():
    can = dataclasses.replace(CAN, seed=True)
    gemini.check(params(seed=2**31 - 1), can, ENDPOINT, None)
    with pytest.raises(UsageError, match=r"--seed cannot be used: .* 32 bits"):
        gemini.check(params(seed=2**31), can, ENDPOINT, None)


def answer(parts, finish="STOP", **more):
    return {"key": "r1", "response": {"candidates": [{"content": {"parts": parts}, "finishReason": finish}], **more}}


@pytest.mark.parametrize(
    ("given", "outcome", "words"),
    [
        ({"key": "r1", "response": {"promptFeedback": {"blockReason": "SAFETY"}}}, Outcome.REFUSED, "SAFETY"),
        (answer([{"text": "ha"}], "PROHIBITED_CONTENT"), Outcome.REFUSED, "PROHIBITED_CONTENT"),
        (answer([{"text": "hm", "thought": True}]), Outcome.ERROR, "no text"),
        (answer([], "MAX_TOKENS"), Outcome.ERROR, "--max-tokens"),
        ({"key": "r1", "response": {"candidates": []}}, Outcome.ERROR, "no text"),
        ({"key": "r1", "error": {"code": 3, "message": "bad field", "details": [{}]}}, Outcome.ERROR, "bad field"),
        ({"key": "r1", "error": {"code": 1, "message": "stopped"}}, Outcome.CANCELLED, "stopped"),
        ({"key": "r1", "status": {"code": 13, "message": "internal"}}, Outcome.ERROR, "internal"),
        ({"key": "r1"}, Outcome.ERROR, "neither"),
    ],
)
def test_rows_that_hold_no_answer(given, outcome, words):
    response = gemini.decode(given)
    assert (response.custom_id, response.outcome, response.text) == ("r1", outcome, None)
    assert words in response.error


def test_an_answer_that_stopped_early_is_kept_with_its_reason():
    response = gemini.decode(answer([{"text": "a"}, {"text": "b"}], "CONTINUATION"))
    assert (response.outcome, response.text, response.finish) == (Outcome.OK, "ab", "CONTINUATION")


@pytest.mark.parametrize("prefix", ["BATCH_STATE_", "JOB_STATE_"])
@pytest.mark.parametrize("word", gemini.STATUSES)
def test_every_state_has_its_phase_under_both_prefixes(prefix, word):
    told = prefix + word.removeprefix("BATCH_STATE_")
    assert gemini.STATUSES[gemini.state_word({"metadata": {"state": told}})] is gemini.STATUSES[word]


@pytest.mark.parametrize(
    ("state", "done", "phase"), [("DREAMING", False, Phase.WAITING), ("DREAMING", True, Phase.ENDED)]
)
def test_an_unknown_state_waits_unless_the_operation_is_done(state, done, phase, at_bench, monkeypatch):
    bench = at_bench("gemini")
    job = bench.started()
    real = rehearsed._operation

    def odd(site, told):
        made = real(site, told)
        made["metadata"]["state"] = f"BATCH_STATE_{state}"
        return made | ({"done": True} if done else {})

    monkeypatch.setattr(rehearsed, "_operation", odd)
    progress = bench.vendor.poll(bench.client, job)
    assert (progress.word, progress.phase) == (f"BATCH_STATE_{state}", phase)


def test_counts_and_job_errors_that_the_sdk_drops_are_read(at_bench):
    bench = at_bench("gemini", Fault("fail", call="job", nth=2, message="the file is unusable"))
    _, progress = bench.ended(bench.prepared("first"))
    assert (progress.counts.total, progress.counts.done, progress.counts.failed) == (6, 6, 0)
    _, progress = bench.ended(bench.prepared("second"))
    assert (progress.word, progress.queue_full) == ("BATCH_STATE_FAILED", False)
    assert "the file is unusable" in progress.error


def test_a_job_that_failed_for_want_of_quota_can_be_sent_again(at_bench):
    bench = at_bench("gemini", Fault("queue_full", call="job"))
    _, progress = bench.ended()
    assert progress.queue_full


def test_a_second_upload_meets_the_first(at_bench):
    bench = at_bench("gemini")
    job = bench.prepared()
    name = bench.vendor.upload(bench.client, job)
    assert name == gemini.remote_name(job.token)
    assert len(name.removeprefix("files/")) <= 40
    assert bench.vendor.upload(bench.client, job) == name
    assert len(bench.site.files("gemini")) == 1


def test_an_earlier_upload_of_other_bytes_is_replaced(at_bench):
    bench = at_bench("gemini")
    job = bench.prepared()
    bench.site.keep("gemini", b"half", id=gemini.remote_name(job.token))
    name = bench.vendor.upload(bench.client, job)
    assert bench.site.file("gemini", name).size == job.path.stat().st_size


def test_a_file_of_many_chunks_arrives_whole(at_bench):
    bench = at_bench("gemini")
    job = bench.prepared()
    job.path.write_bytes(job.path.read_bytes() * (20_000_000 // job.path.stat().st_size))
    name = bench.vendor.upload(bench.client, job)
    assert bench.site.path("gemini", name).read_bytes() == job.path.read_bytes()
    assert len(bench.calls("upload")) == 4  # the start, then chunks of 8 MiB


@pytest.mark.parametrize(
    ("code", "trouble", "wait"), [("37s", Trouble.TRANSIENT, 37.0), (None, Trouble.QUEUE_FULL, None)]
)
def test_google_names_its_delay_in_the_body(code, trouble, wait, at_bench):
    bench = at_bench("gemini", Fault("status", call="create", status=429, code=code))
    job = bench.uploaded()
    error = bench.trouble(lambda: bench.vendor.create(bench.client, job))
    assert (error.trouble, error.retry_after_s) == (trouble, wait)


def test_a_refused_download_is_explained(at_bench):
    bench = at_bench("gemini", Fault("status", call="download", status=404, message="gone for good"))
    job, _ = bench.ended()
    error = bench.trouble(lambda: bench.raw(job))
    assert error.trouble is Trouble.NOT_FOUND
    assert "gone for good" in str(error)


def test_the_key_stays_with_our_own_host(at_bench):
    bench = at_bench("gemini")
    request = bench.client.http.build_request("GET", "http://localhost:1/x", headers={"x-goog-api-key": "k" * 20})
    for hook in bench.client.http.event_hooks["request"]:
        hook(request)
    assert "x-goog-api-key" not in request.headers


def test_an_upload_that_expired_does_not_stop_a_delete(at_bench):
    bench = at_bench("gemini")
    job, _ = bench.ended()
    bench.site.drop("gemini", job.remote_file)  # 48 hours later
    gone = bench.trouble(lambda: bench.client.sdk.files.get(name=job.remote_file))
    assert (gone.status, gone.trouble) == (403, Trouble.AUTH)
    bench.vendor.remove(bench.client, job)
    assert bench.site.jobs("gemini") == []
