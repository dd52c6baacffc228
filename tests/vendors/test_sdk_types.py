"""The vendors' own SDK types as judges: of what we send, and of what the rehearsed vendors answer.

Neither side wrote them, so an adapter and its rehearsed vendor cannot agree on a misreading here.
"""

from __future__ import annotations

import functools
import tomllib
import typing
from importlib import import_module

import pytest
from pydantic import TypeAdapter

from batchflow.records import Image, Params, Request, Schema
from batchflow.rehearsal import registry as rehearsed
from batchflow.settings import ACCESS, MODELS_FILE, VENDORS, Settings
from batchflow.vendors import registry

SCHEMA = Schema("answer", {"type": "object", "properties": {"why": {"type": ["string", "null"]}}, "required": ["why"]})
ROWS = [
    (vendor, row)
    for vendor, rows in tomllib.loads(MODELS_FILE.read_text("utf-8"))["models"].items()
    for row in rows
    if vendor != "local"
]
TEMPERATURE_OF_OLD = {"temperature"}  # Anthropic's type is of the newest API version; the old one is sent with it


def variants(vendor, model, can):
    """Every option that the model's row allows, one at a time."""
    yield Params()
    yield Params(max_tokens=3000)
    if can.sampling:
        yield Params(temperature=0.5)
    if can.seed:
        yield Params(seed=7)
    if can.budget:
        yield Params(thinking_budget=1024)
    for level in can.levels:
        yield Params(thinking_level=level)


def lines(vendor, model, tmp_path):
    adapter, can = registry.get(vendor), Settings(tmp_path, tmp_path, "sqlite://").capabilities(vendor, model)
    parts = ("Question?", Image("image/png", "QUJD")) if can.images else ("Question?",)
    for endpoint in adapter.ENDPOINTS:
        for params in variants(vendor, model, can):
            if endpoint.endswith("responses") and params.seed is not None:
                continue  # has no such field, and check refuses it
            request = Request("r1", model, "Be brief.", parts, SCHEMA, params)
            adapter.check(request, can, endpoint, None)
            yield endpoint, adapter.encode(request, can, endpoint)


def typed(kind, body):
    """The body holds what its SDK's TypedDict knows, and nothing else."""
    adapter, known = _reader(kind)
    adapter.validate_python(body)
    return set(body) - known


@functools.cache
def _reader(kind):
    return TypeAdapter(kind), frozenset(typing.get_type_hints(kind))


def judge(vendor, endpoint, line):
    """Keys that the SDK's request type does not know. Raises ValidationError for values that it refuses."""
    vendor = ACCESS[vendor].speaks or vendor
    if vendor == "openai" and endpoint.endswith("responses"):
        from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming as Asked
    elif vendor == "openai":
        from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming as Asked
    elif vendor == "anthropic":
        from anthropic.types.message_create_params import MessageCreateParamsNonStreaming as Asked
    elif vendor == "groq":
        from groq.types.chat.completion_create_params import CompletionCreateParams as Asked
    elif vendor == "together":
        from together.types.chat.completion_create_params import CompletionCreateParamsNonStreaming as Asked
    elif vendor == "mistral":
        from mistralai.client.models import ChatCompletionRequest

        body = line["body"] | {"model": "on the job"}
        read = ChatCompletionRequest.model_validate(body)
        return set(body) - set(read.model_dump(by_alias=True, exclude_unset=True))
    else:
        from google.genai import types

        request = line["request"]
        types.GenerateContentConfig.model_validate(request["generation_config"])
        for turn in (*request["contents"], request["system_instruction"]):
            types.Content.model_validate(turn)
        return set(request) - {"contents", "system_instruction", "generation_config"}
    return typed(Asked, line["params"] if vendor == "anthropic" else line["body"])


@pytest.mark.parametrize(("vendor", "row"), ROWS)
def test_what_a_model_is_sent_is_what_its_sdk_would_send(vendor, row, tmp_path):
    made = list(lines(vendor, row.removesuffix("*"), tmp_path))
    assert made
    for endpoint, line in made:
        unknown = judge(vendor, endpoint, line)
        assert unknown <= (TEMPERATURE_OF_OLD if vendor == "anthropic" else set()), line


def answer_types():
    """vendor → (the SDK's type of a batch, of an answer)."""
    from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse
    from groq.types import BatchRetrieveResponse
    from groq.types.chat import ChatCompletion as GroqCompletion
    from mistralai.client.models import BatchJob as MistralJob
    from mistralai.client.models import ChatCompletionResponse
    from openai.types import Batch
    from openai.types.chat import ChatCompletion
    from together.types import BatchJob
    from together.types.chat import ChatCompletion as TogetherCompletion

    return {
        "openai": (Batch, ChatCompletion),
        "anthropic": (MessageBatch, MessageBatchIndividualResponse),
        "mistral": (MistralJob, ChatCompletionResponse),
        "together": (BatchJob, TogetherCompletion),
        "groq": (BatchRetrieveResponse, GroqCompletion),
    }


@pytest.mark.parametrize("vendor", [name for name in VENDORS if name != "gemini"])
def test_a_rehearsed_answer_is_what_the_sdk_expects(vendor, at_bench):
    bench = at_bench(vendor)
    params = Params(thinking_level="low", max_tokens=3000)
    job, _ = bench.ended(bench.prepared(params=params))
    site, held = bench.site, bench.site.job(vendor, job.remote_id)
    protocol = import_module(rehearsed.MODULES[vendor])
    tell = getattr(protocol, "_job", None) or protocol._batch
    told = tell(site, held, bench.up.url(vendor)) if vendor == "anthropic" else tell(site, held)
    of_batch, of_answer = answer_types()[ACCESS[vendor].speaks or vendor]
    of_batch.model_validate(told)
    rows = [row for body in bench.raw(job).values() for row in body.split(b"\n") if row]
    assert len(rows) == job.requests
    for row in map(TypeAdapter(dict).validate_json, rows):
        of_answer.model_validate(row if vendor == "anthropic" else row["response"]["body"])


def test_a_rehearsed_gemini_row_is_what_the_sdk_expects(at_bench):
    from google.genai import types

    bench = at_bench("gemini")
    job, _ = bench.ended(bench.prepared(params=Params(thinking_level="low")))
    for row in bench.raw(job)["output"].split(b"\n")[:-1]:
        response = TypeAdapter(dict).validate_json(row)["response"]
        assert response["usageMetadata"].pop("serviceTier")  # recorded, and not in the SDK's model
        types.GenerateContentResponse.model_validate(response)
