"""OpenVINO: the fast choice on a CPU. Continuous batching over a GGUF file or a converted model folder; text only."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from batchflow import files
from batchflow.local.offline import base
from batchflow.local.offline.base import Answer, Config, completion, refusal
from batchflow.records import Json

CACHE_GB = 2
BATCH_TOKENS = 1024


@dataclass(slots=True)
class OpenVino:
    """A loaded pipeline; it schedules by itself."""

    pipeline: Any
    tokenizer: Any
    name: str
    facts: Json
    _handles: dict[int, tuple[Any, int, list[str]]] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """True while a request is unfinished."""
        return bool(self._handles)

    def prompt(self, body: Json) -> str:
        """The text that the model goes on from. Raises ValueError as `base` says."""
        if "prompt" in body:
            return str(body["prompt"])
        messages = base.flat(body["messages"])
        if not self.tokenizer.chat_template:
            raise ValueError(base.NO_TEMPLATE)
        return str(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True))

    def add(self, index: int, body: Json) -> None:
        """Take a request. Raises ValueError for one that can never be answered."""
        text = self.prompt(body)
        read = int(self.tokenizer.encode(text).input_ids.shape[1])
        stops = list(body.get("stop") or ())
        self._handles[index] = (self.pipeline.add_request(index, text, _settings(body, stops)), read, stops)

    def step(self) -> Iterator[Answer]:
        """One step of the scheduler; the requests that it ended."""
        import openvino_genai

        self.pipeline.step()
        for index, (handle, read, stops) in list(self._handles.items()):
            status = handle.get_status()
            if status == openvino_genai.GenerationStatus.RUNNING:
                continue
            del self._handles[index]
            if status == openvino_genai.GenerationStatus.FINISHED:
                yield self._answer(index, handle.read_all()[0], read, stops)
            else:
                yield refusal(
                    index, 413, f"the engine gave up this request ({status.name}): the prompt or its cache is too large"
                )

    def _answer(self, index: int, output: Any, read: int, stops: list[str]) -> Answer:
        text, stopped = base.cut(str(self.tokenizer.decode(output.generated_ids)), stops)
        finish = "stop" if stopped or output.finish_reason.name == "STOP" else "length"
        count = len(output.generated_ids)
        return Answer(index, 200, completion(text, model=self.name, finish=finish, read=read, generated=count))


def _settings(body: Json, stops: list[str]) -> Any:
    import openvino_genai

    settings = openvino_genai.GenerationConfig()
    settings.max_new_tokens = int(body.get("max_tokens") or base.DEFAULT_TOKENS)
    settings.apply_chat_template = False
    temperature = float(body.get("temperature") or 0.0)
    settings.do_sample = temperature > 0
    if temperature:
        settings.temperature = temperature
        seed = body.get("seed")  # the engine's own default is a constant: without one, all samples would be the same
        settings.rng_seed = secrets.randbits(32) if seed is None else int(seed)
    if stops:
        settings.stop_strings = set(stops)
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    if schema:
        text = files.dumps(schema).decode()
        settings.structured_output_config = openvino_genai.StructuredOutputConfig(json_schema=text)
    return settings


def load(config: Config) -> OpenVino:
    """Load a GGUF file or a folder of a converted model."""
    import openvino_genai

    arguments = config.arguments
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.cache_size = int(arguments.get("cache_size", CACHE_GB))
    scheduler.max_num_seqs = int(arguments.get("max_num_seqs", config.seats))
    scheduler.max_num_batched_tokens = int(arguments.get("max_num_batched_tokens", BATCH_TOKENS))
    scheduler.enable_prefix_caching = arguments.get("prefix_caching", "true") == "true"
    device = arguments.get("device", "CPU")
    pipeline = openvino_genai.ContinuousBatchingPipeline(config.model, scheduler, device, {}, {})
    facts = {
        "engine": "openvino",
        "version": openvino_genai.__version__,
        "device": device,
        "max_num_seqs": scheduler.max_num_seqs,
        "prefix_caching": scheduler.enable_prefix_caching,
        "arguments": dict(arguments),
    }
    return OpenVino(pipeline, pipeline.get_tokenizer(), config.model, facts)
