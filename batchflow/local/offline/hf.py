"""HF transformers: any causal language model or image-text model, by path or hub id.

Requests are pooled, sorted by length and cut by a budget of tokens (rows x the longest prompt with its answer). The
longest go first: when memory does not suffice it shows early, the budget is halved, and the rows wait for another turn.
Where the model's keys and values allow it, rows leave the batch as they finish and others join (`live`); pictures, and
models with another kind of memory, go in static batches.

Sampling is done with a generator per row (the Gumbel-max trick: argmax of logits / T + Gumbel noise is a draw from
softmax(logits / T); Maddison et al., 2014, A* Sampling), so a row's answer does not depend on its neighbours.
Without a temperature the likeliest token is taken.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from batchflow.local.offline import base, continuous_batching, device_placement
from batchflow.local.offline.base import Answer, Config, completion, refusal
from batchflow.local.offline.continuous_batching import Live, Started, Waiting
from batchflow.records import Json

READ_TOKENS = {"cpu": 4096, "cuda": 16_384}  # prompts read in one go: more gain nothing, and activations are large
EVEN = 0.8  # shorter prompts than this share of the longest are read in another go, once a quarter of it is full
ROWS = 256


@dataclass(slots=True)
class Transformers:
    """A loaded model. budget: tokens of one batch; halved when memory does not suffice. rolls: rows leave and join."""

    model: Any
    tokenizer: Any
    processor: Any  # None for a model that reads text only
    name: str
    budget: int
    seats: int
    rolls: bool
    facts: Json
    halvings: int = 0
    _pool: list[Waiting] = field(default_factory=list)
    _live: Live | None = None

    @property
    def busy(self) -> bool:
        """True while a request is unfinished."""
        return bool(self._pool) or self._live is not None

    @property
    def context(self) -> int:
        """Tokens that the model was made for; no limit where its configuration does not say."""
        config = getattr(self.model.config, "text_config", self.model.config)
        return int(getattr(config, "max_position_embeddings", 0) or 1 << 30)

    def add(self, index: int, body: Json) -> None:
        """Take a request. Raises ValueError for one that can never be answered."""
        text, images = self.prompt(body)
        ids = [] if images else self._ids(text, begin="prompt" in body)
        length = self._length(text, images) if images else len(ids)
        most = min(int(body.get("max_tokens") or base.DEFAULT_TOKENS), self.context - length)
        if most < 1:
            raise ValueError(f"the prompt has {length} tokens, the model's context {self.context}")
        if not length:
            raise ValueError("the prompt is empty")
        seed = body.get("seed")
        self._pool.append(
            Waiting(
                index,
                text,
                images,
                ids,
                length,
                most,
                float(body.get("temperature") or 0.0),
                secrets.randbits(48) if seed is None else int(seed),
                tuple(body.get("stop") or ()),
            )
        )

    def step(self) -> Iterator[Answer]:
        """Takes rows in while there is room, and goes on until some are over. Too little memory halves the budget."""
        while rows := self._take():
            try:
                over = self._begin(rows)
            except (RuntimeError, MemoryError) as error:
                yield from self._shrink(error, rows)
                break
            yield from map(self._answer, over)
            if not self.rolls:
                return
        if self._live is not None:
            yield from self._go_on(self._live)

    def _go_on(self, batch: Live) -> Iterator[Answer]:
        rows = [row.row for row in batch.rows]
        try:
            over = self._run(batch, continuous_batching.STRETCH, max(1, len(rows) // continuous_batching.PART))
        except (RuntimeError, MemoryError) as error:
            self._live = None
            yield from self._shrink(error, rows)
            return
        self._live = batch if batch.rows else None
        yield from map(self._answer, over)

    def _begin(self, rows: list[Waiting]) -> list[Started]:
        """Read the prompts of these rows and put them beside the others under way; rows that are over at once.

        A batch that cannot roll is generated to its end.
        """
        fresh = self._started(rows)
        over = self._run(fresh, 1 if self.rolls else max(row.most for row in rows), len(rows))
        if fresh.rows:
            self._live = fresh if self._live is None else self._live.joined(fresh, self.tokenizer)
        return over

    def _run(self, batch: Live, most: int, enough: int) -> list[Started]:
        return batch.run(self.model, self.tokenizer, _ends(self.model, self.tokenizer), most, enough)

    # ---- requests

    def prompt(self, body: Json) -> tuple[str, list[Any]]:
        """The text that the model goes on from, and its pictures. Raises ValueError as `base` says."""
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
            raise ValueError(base.NO_TEMPLATE)
        try:
            text = source.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception:  # noqa: BLE001 - templates raise what they like for a role that they do not know
            joined = base.without_system(messages)
            text = source.apply_chat_template(joined, add_generation_prompt=True, tokenize=False)
        return str(text)

    def _ids(self, text: str, *, begin: bool) -> list[int]:
        """Tokens of a text. begin: put in front what the model's texts begin with, as chat templates do themselves."""
        first = self.tokenizer.bos_token
        begin = begin and not (first and text.startswith(first))
        return list(self.tokenizer(text, add_special_tokens=begin)["input_ids"])

    def _length(self, text: str, images: list[Any]) -> int:
        return int(self.processor(text=[text], images=[images], return_tensors="pt")["input_ids"].shape[1])

    # ---- batches

    def _take(self) -> list[Waiting]:
        """Take the longest rows out of the pool that fit beside those under way."""
        held = [row.row for row in self._live.rows] if self._live else []
        mates = [row for row in self._pool if not held or row.kind == held[0].kind]
        if not mates or (held and not self.rolls):
            return []
        mates.sort(key=_length if self.rolls else _span)
        lead, read = mates[-1], self._read_at_once()
        batch: list[Waiting] = []
        for row in reversed(mates):
            if row.kind != lead.kind:
                continue
            if not self._has_room(held, [*batch, row]) or (batch and lead.length * (len(batch) + 1) > read):
                break
            if self.rolls and row.length < EVEN * lead.length and lead.length * len(batch) > read // 4:
                break
            batch.append(row)
        chosen = set(map(id, batch))
        self._pool = [row for row in self._pool if id(row) not in chosen]
        return batch

    def _has_room(self, held: list[Waiting], new: list[Waiting]) -> bool:
        """True when the budget holds them all; a row alone is always tried."""
        rows = [*held, *new]
        if len(rows) == 1:
            return True
        widest = max(row.span for row in rows)
        if not self.rolls:  # a finished row goes on growing
            widest = max(row.length for row in rows) + max(row.most for row in rows)
        return len(rows) <= self.seats and widest * len(rows) <= self.budget

    def _read_at_once(self) -> int:
        return min(self.budget, READ_TOKENS.get(self.model.device.type, READ_TOKENS["cpu"]))

    def _shrink(self, error: RuntimeError | MemoryError, rows: list[Waiting]) -> Iterator[Answer]:
        """Halve the budget and put the rows back; a row that was alone is given up. Raises what is another error."""
        import torch

        if not _is_out_of_memory(error):
            raise error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        held = [row.row for row in self._live.rows] if self._live else []
        if len(rows) == 1 and not held:
            why = f"out of memory with this row alone ({rows[0].span} tokens)"
            yield refusal(rows[0].index, 413, why)
            return
        longest = max(row.span for row in [*rows, *held])
        self.budget = max(longest, min(self.budget, longest * len(rows + held)) // 2)
        self.halvings += 1
        self._pool += rows
        message = f"out of memory with {len(rows + held)} rows: batches of {self.budget} tokens from now on"
        print(message, flush=True)  # noqa: T201 - the child's standard output goes to the worker's log

    def _started(self, rows: list[Waiting]) -> Live:
        """A batch whose prompts are not read yet."""
        started = [Started.of(row) for row in rows]
        device = self.model.device
        if not rows[0].images:
            ids, mask = continuous_batching.padded(rows, continuous_batching.pad(self.tokenizer))
            return Live(
                started, ids.to(device), mask.to(device), continuous_batching.new_cache() if self.rolls else None, {}
            )
        texts, images = [row.text for row in rows], [row.images for row in rows]
        inputs = self.processor(text=texts, images=images, padding=True, return_tensors="pt").to(device)
        inputs.pop("token_type_ids", None)  # decoders take none, though some tokenizers make them
        for name in ("pixel_values", "pixel_values_videos"):
            if name in inputs:
                inputs[name] = inputs[name].to(self.model.dtype)
        return Live(started, inputs.pop("input_ids"), inputs.pop("attention_mask"), None, dict(inputs))

    def _answer(self, row: Started) -> Answer:
        """The row's own tokens, without the one that ended it, up to a stop word."""
        ended = row.made[-1] in _ends(self.model, self.tokenizer)
        tokens = row.made[:-1] if ended else row.made
        text, stopped = base.cut(self.tokenizer.decode(tokens, skip_special_tokens=True), list(row.row.stops))
        finish = "stop" if stopped or ended else "length"
        body = completion(text, model=self.name, finish=finish, read=row.row.length, generated=len(row.made))
        return Answer(row.row.index, 200, body)


def _span(row: Waiting) -> tuple[int, int]:
    """For sorting: what may come to be longest last, and of equals the later ones first."""
    return row.span, -row.index


def _length(row: Waiting) -> tuple[int, int]:
    return row.length, -row.index


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


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens that end an answer: those of the generation configuration, and the tokenizer's own."""
    eos = model.generation_config.eos_token_id
    listed = eos if isinstance(eos, list) else [eos]
    return frozenset(token for token in (*listed, tokenizer.eos_token_id) if token is not None)


_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "cannot allocate memory")


def _is_out_of_memory(error: Exception) -> bool:
    """On a GPU it is an error of its own, on a CPU it is told by its words only: torch's, oneDNN's, or C++'s."""
    import torch

    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in words for word in _NO_MEMORY)


# ---- loading


def load(config: Config) -> Transformers:
    """Load a model by path or hub id. Raises EngineError for one that cannot be used."""
    # Threads that spin while they wait take the time of those they wait for: on two busy cores that cost a factor of
    # two to four. OpenMP reads this when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch
    import transformers

    trust = config.arguments.get("trust_remote_code") == "true"
    described = transformers.AutoConfig.from_pretrained(config.model, trust_remote_code=trust)
    sees = getattr(described, "vision_config", None) is not None
    model = device_placement.model(
        config, transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    )
    _greedy(model)
    source = transformers.AutoProcessor if sees else transformers.AutoTokenizer
    processor = source.from_pretrained(config.model, trust_remote_code=trust)
    tokenizer = processor.tokenizer if sees else processor
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    budget = int(config.arguments.get("batch_tokens", 0)) or device_placement.budget(model)
    rows = int(config.arguments.get("batch_rows", ROWS))
    rolls = not sees and continuous_batching.can_roll(model)
    facts = {
        "engine": "hf",
        "version": transformers.__version__,
        "torch": torch.__version__,
        "device": str(model.device),
        "dtype": str(model.dtype),
        "threads": torch.get_num_threads(),
        "images": sees,
        "rolling": rolls,
        "batch_tokens": budget,
        "batch_rows": rows,
        "arguments": dict(config.arguments),
    }
    return Transformers(model, tokenizer, processor if sees else None, config.model, budget, rows, rolls, facts)


def _greedy(model: Any) -> None:
    """Switch the checkpoint's own sampling off: what is drawn is drawn by our processor."""
    for name in ("temperature", "top_p", "top_k", "min_p", "typical_p"):
        setattr(model.generation_config, name, None)
    model.generation_config.do_sample = False
