"""HF transformers: any causal language model or image-text model, by path or hub id.

Static batches are as good as they are even, so requests are pooled, sorted by length and cut by a budget of tokens
(rows x (longest prompt + longest answer)). The longest go first: when memory does not suffice it shows at once, the
budget is halved, and the batch's rows wait for another turn.

Sampling is done with a generator per row (the Gumbel-max trick: argmax of logits / T + Gumbel noise is a draw from
softmax(logits / T); Maddison et al., 2014, A* Sampling), so a row's answer does not hang on which rows it sits with.
Without a temperature the likeliest token is taken.
"""

from __future__ import annotations

import base64
import binascii
import io
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from batchflow.errors import EngineError
from batchflow.local.offline import base
from batchflow.local.offline.base import Answer, Config, completion, refusal
from batchflow.records import Json

CPU_TOKENS = 4096  # measured on two cores: larger batches gain nothing and cost memory
GPU_TOKENS = 262_144
GPU_SHARE = 0.6  # of the free memory for keys and values; activations and logits need the rest
ROWS = 256


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that is not answered yet. length: tokens of its prompt, a picture's included."""

    index: int
    text: str
    images: list[Any]
    length: int
    most: int  # tokens to generate
    temperature: float
    seed: int
    stops: tuple[str, ...]

    @property
    def span(self) -> int:
        """Tokens that it may come to hold."""
        return self.length + self.most

    @property
    def kind(self) -> tuple[bool, tuple[str, ...]]:
        """What the rows of one batch have in common."""
        return bool(self.images), self.stops


@dataclass(slots=True)
class Transformers:
    """A loaded model. budget: tokens of one batch; halved when memory does not suffice."""

    model: Any
    tokenizer: Any
    processor: Any  # None for a model that reads text only
    name: str
    budget: int
    seats: int
    facts: Json
    halvings: int = 0
    _pool: list[Waiting] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        """True while a request is unfinished."""
        return bool(self._pool)

    @property
    def context(self) -> int:
        """Tokens that the model was made for; no limit where its configuration does not say."""
        config = getattr(self.model.config, "text_config", self.model.config)
        return int(getattr(config, "max_position_embeddings", 0) or 1 << 30)

    def add(self, index: int, body: Json) -> None:
        """Take a request. Raises ValueError for one that can never be answered."""
        text, images = self._prompt(body)
        length = self._length(text, images)
        most = min(int(body.get("max_tokens") or base.DEFAULT_TOKENS), self.context - length)
        if most < 1:
            raise ValueError(f"the prompt has {length} tokens, the model's context {self.context}")
        seed = body.get("seed")
        self._pool.append(
            Waiting(
                index,
                text,
                images,
                length,
                most,
                float(body.get("temperature") or 0.0),
                secrets.randbits(48) if seed is None else int(seed),
                tuple(body.get("stop") or ()),
            )
        )

    def step(self) -> Iterator[Answer]:
        """One batch: the longest rows that fit together. Memory that does not suffice halves the budget."""
        batch = self._take()
        try:
            yield from self._generate(batch)
        except RuntimeError as error:  # torch's out-of-memory error is one, on a CPU it is told by its words only
            if not _is_out_of_memory(error):
                raise
            yield from self._shrink(batch)

    # ---- requests

    def _prompt(self, body: Json) -> tuple[str, list[Any]]:
        """The text that the model goes on from, and the pictures that belong to it."""
        if "prompt" in body:
            return str(body["prompt"]), []
        messages = body["messages"]
        if self.processor is None:
            return self._templated(self.tokenizer, base.flat(messages)), []
        images = [_picture(part) for turn in messages for part in _parts(turn) if part["type"] == "image_url"]
        spelled = [{"role": turn["role"], "content": [_spelled(part) for part in _parts(turn)]} for turn in messages]
        return self._templated(self.processor, spelled), images

    def _templated(self, source: Any, messages: list[Json]) -> str:
        if not source.chat_template:
            raise ValueError("the model has no chat template; use --mode completion with a --prompt-template")
        try:
            text = source.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception:  # noqa: BLE001 - templates raise what they like for a role that they do not know
            joined = base.without_system(messages)
            text = source.apply_chat_template(joined, add_generation_prompt=True, tokenize=False)
        return str(text)

    def _length(self, text: str, images: list[Any]) -> int:
        if not images:
            return len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return int(self.processor(text=[text], images=[images], return_tensors="pt")["input_ids"].shape[1])

    # ---- batches

    def _take(self) -> list[Waiting]:
        """Take the longest row out of the pool, and after it others of its kind while the budget holds them."""
        self._pool.sort(key=_span)
        lead = self._pool[-1]
        batch: list[Waiting] = []
        for row in reversed(self._pool):
            longest = max(lead.length, row.length) + max(lead.most, row.most)
            if len(batch) == self.seats or (batch and longest * (len(batch) + 1) > self.budget):
                break
            if row.kind == lead.kind:
                batch.append(row)
        chosen = set(map(id, batch))
        self._pool = [row for row in self._pool if id(row) not in chosen]
        return batch

    def _shrink(self, batch: list[Waiting]) -> Iterator[Answer]:
        """Halve the budget and put the rows back; a row that was alone is given up."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(batch) == 1:
            why = f"out of memory with this row alone ({batch[0].span} tokens)"
            yield refusal(batch[0].index, 413, why)
            return
        longest = max(row.span for row in batch)
        self.budget = max(longest, min(self.budget, longest * len(batch)) // 2)
        self.halvings += 1
        self._pool += batch
        said = f"out of memory with {len(batch)} rows: batches of {self.budget} tokens from now on"
        print(said, flush=True)  # noqa: T201 - the child's standard output goes to the worker's log

    def _generate(self, batch: list[Waiting]) -> list[Answer]:
        import torch
        from transformers import LogitsProcessorList

        inputs = self._inputs(batch)
        start = inputs["input_ids"].shape[1]
        options: Json = {"max_new_tokens": max(row.most for row in batch), "do_sample": False, "num_beams": 1}
        if batch[0].stops:
            options |= {"stop_strings": list(batch[0].stops), "tokenizer": self.tokenizer}
        if any(row.temperature for row in batch):
            options["logits_processor"] = LogitsProcessorList([_Noise(batch)])
        with torch.inference_mode():
            made = self.model.generate(**inputs, **options, pad_token_id=_pad(self.tokenizer))
        return [self._answer(row, tokens[start:].tolist()) for row, tokens in zip(batch, made, strict=True)]

    def _inputs(self, batch: list[Waiting]) -> Any:
        texts = [row.text for row in batch]
        if batch[0].images:
            images = [row.images for row in batch]
            inputs = self.processor(text=texts, images=images, padding=True, return_tensors="pt")
        else:
            inputs = self.tokenizer(texts, padding=True, add_special_tokens=False, return_tensors="pt")
        inputs.pop("token_type_ids", None)  # decoders take none, though some tokenizers make them
        moved = inputs.to(self.model.device)
        for name in ("pixel_values", "pixel_values_videos"):
            if name in moved:
                moved[name] = moved[name].to(self.model.dtype)
        return moved

    def _answer(self, row: Waiting, tokens: list[int]) -> Answer:
        """The row's own tokens, up to the end that the model set, a stop word, or the row's limit."""
        tokens = tokens[: row.most]
        ends = _ends(self.model, self.tokenizer)
        at = next((place for place, token in enumerate(tokens) if token in ends), None)
        said = tokens if at is None else tokens[:at]
        text, stopped = base.cut(self.tokenizer.decode(said, skip_special_tokens=True), list(row.stops))
        finish = "stop" if stopped or at is not None else "length"
        made = len(said) + (at is not None)
        return Answer(row.index, 200, completion(text, model=self.name, finish=finish, read=row.length, made=made))


class _Noise:
    """Turns the likeliest token into a draw: each row has its own generator, temperature 0 stays as it is."""

    def __init__(self, batch: list[Waiting]) -> None:
        import torch

        self._rows = [
            (place, row.temperature, torch.Generator().manual_seed(row.seed))
            for place, row in enumerate(batch)
            if row.temperature
        ]

    def __call__(self, _: Any, scores: Any) -> Any:
        """scores: (rows, vocabulary) logits. Noise is drawn on the CPU, so that a seed means the same anywhere."""
        import torch

        for place, temperature, generator in self._rows:
            uniform = torch.rand(scores.shape[1], generator=generator, dtype=torch.float32).clamp_(1e-20, 1 - 1e-7)
            gumbel = -torch.log(-torch.log(uniform))
            scores[place] = scores[place].float() / temperature + gumbel.to(scores.device)
        return scores


def _span(row: Waiting) -> int:
    return row.span


def _parts(turn: Json) -> list[Json]:
    content = turn["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _spelled(part: Json) -> Json:
    """A content part as chat templates of image-text models spell it."""
    return {"type": "image"} if part["type"] == "image_url" else {"type": "text", "text": part["text"]}


def _picture(part: Json) -> Any:
    """The picture of a data URL. Raises ValueError for any other URL, and for a picture that cannot be read."""
    from PIL import Image

    url = part["image_url"]["url"]
    if not url.startswith("data:image/"):
        raise ValueError("a picture has to be a data URL")
    try:
        with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2], validate=True))) as opened:
            return opened.convert("RGB")
    except (OSError, SyntaxError, binascii.Error, Image.DecompressionBombError) as error:
        raise ValueError(f"the picture cannot be read ({error})") from None


def _pad(tokenizer: Any) -> int:
    tokens = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((int(token) for token in tokens if token is not None), 0)


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens that end an answer: those of the generation configuration, and the tokenizer's own."""
    said = model.generation_config.eos_token_id
    listed = said if isinstance(said, list) else [said]
    return frozenset(token for token in (*listed, tokenizer.eos_token_id) if token is not None)


def _is_out_of_memory(error: RuntimeError) -> bool:
    import torch

    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in words or "can't allocate memory" in words


# ---- loading


def load(config: Config) -> Transformers:
    """Load a model by path or hub id. Raises EngineError for one that cannot be used."""
    import torch
    import transformers

    trust = config.arguments.get("trust_remote_code") == "true"
    described = transformers.AutoConfig.from_pretrained(config.model, trust_remote_code=trust)
    sees = getattr(described, "vision_config", None) is not None
    kind = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    options = {"dtype": config.arguments.get("dtype", "auto"), "trust_remote_code": trust}
    if attention := config.arguments.get("attn_implementation"):
        options["attn_implementation"] = attention
    device, placed = _placement(config)
    model = kind.from_pretrained(config.model, **options, **placed)
    if not placed:
        model = model.to(device)
    model.eval()
    _greedy(model)
    source = transformers.AutoProcessor if sees else transformers.AutoTokenizer
    processor = source.from_pretrained(config.model, trust_remote_code=trust)
    tokenizer = processor.tokenizer if sees else processor
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    budget = _budget(config, model, torch)
    rows = int(config.arguments.get("batch_rows", ROWS))
    facts = {
        "engine": "hf",
        "version": transformers.__version__,
        "torch": torch.__version__,
        "device": str(model.device),
        "dtype": str(model.dtype),
        "images": sees,
        "batch_tokens": budget,
        "batch_rows": rows,
        "arguments": dict(config.arguments),
    }
    return Transformers(model, tokenizer, processor if sees else None, config.model, budget, rows, facts)


def _placement(config: Config) -> tuple[str, Json]:
    """(device, arguments of from_pretrained that place the model over all GPUs, empty for a single device)."""
    import torch

    cards = torch.cuda.device_count()
    if config.gpu_bytes is not None and not cards:
        raise EngineError("--max-gpu-memory: no GPU is here", hint="leave it out")
    if config.gpu_bytes is None and (asked := config.arguments.get("device")):
        return asked, {}
    if cards > 1 or config.gpu_bytes is not None:
        memory = {} if config.gpu_bytes is None else {"max_memory": dict.fromkeys(range(cards), config.gpu_bytes)}
        return "cuda", {"device_map": "auto", **memory}
    if cards:
        return "cuda", {}
    return ("mps" if torch.backends.mps.is_available() else "cpu"), {}


def _budget(config: Config, model: Any, torch: Any) -> int:
    """Tokens of one batch: as asked, else what free GPU memory holds of keys and values, else what suits a CPU."""
    if asked := config.arguments.get("batch_tokens"):
        return int(asked)
    if model.device.type != "cuda":
        return CPU_TOKENS
    made = getattr(model.config, "text_config", model.config)
    heads = getattr(made, "num_key_value_heads", None) or made.num_attention_heads
    width = getattr(made, "head_dim", None) or made.hidden_size // made.num_attention_heads
    token = int(2 * made.num_hidden_layers * heads * width * model.dtype.itemsize)
    return max(1024, min(GPU_TOKENS, int(torch.cuda.mem_get_info()[0] * GPU_SHARE) // token))


def _greedy(model: Any) -> None:
    """Switch the checkpoint's own sampling off: what is drawn is drawn by our processor."""
    for name in ("temperature", "top_p", "top_k", "min_p", "typical_p"):
        setattr(model.generation_config, name, None)
    model.generation_config.do_sample = False
