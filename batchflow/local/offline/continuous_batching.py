"""A batch of HF transformers that rows leave when they are finished, and join while others are under way.

A static batch goes on until its slowest row ends, and its finished rows cost as much as the others. Here `generate` is
called for stretches: it stops when an eighth of the rows is over; they are taken out of the keys and values, columns
that only they needed are cut off, and new rows, read in a batch of their own, are put beside the rest.

The rows of a batch are padded on the left to one width. Positions come from the attention mask, and keys were rotated
by the positions that they were made at, so a row's answer does not change when the padding in front of it does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

from batchflow.records import Json

STRETCH = 128  # tokens; then rows that have come meanwhile may join
PART = 8  # a stretch ends when one row of so many is over
SLACK = 64  # columns that the keys and values have in reserve, so that not every token copies all of them


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that is not answered yet. ids: tokens of its prompt, empty where pictures belong to it.

    length: tokens of the prompt, a picture's included. most: tokens to generate.
    """

    index: int
    text: str
    images: list[Any]
    ids: list[int]
    length: int
    most: int
    temperature: float
    seed: int
    stops: tuple[str, ...]

    @property
    def span(self) -> int:
        """Tokens that it may come to hold."""
        return self.length + self.most

    @property
    def kind(self) -> tuple[bool, tuple[str, ...]]:
        """Settings that the rows of one batch share."""
        return bool(self.images), self.stops


@dataclass(slots=True, eq=False)
class Started:
    """A row under way. made: its tokens so far. dice: draws for it, None where the likeliest token is taken."""

    row: Waiting
    dice: Any
    made: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, row: Waiting) -> Self:
        """A row at its beginning, with a generator of its own."""
        import torch

        return cls(row, torch.Generator().manual_seed(row.seed) if row.temperature else None)


@dataclass(slots=True)
class Live:
    """Rows under way.

    ids, mask: (rows, width) int64. cache: keys and values of all columns but the last, None where rows can neither
    leave nor join. rest: what else the first call of the model takes (pictures).
    """

    rows: list[Started]
    ids: Any
    mask: Any
    cache: Any
    rest: Json

    def run(self, model: Any, tokenizer: Any, ends: frozenset[int], most: int, enough: int) -> list[Started]:
        """Generate at most `most` tokens a row, until `enough` rows are over; these, taken out.

        Without a cache to go on from, every row is generated to its end.
        """
        import torch

        until = _Until(self.rows, ends, enough, _words(tokenizer, self.rows[0].row.stops))
        with torch.inference_mode():
            output = model.generate(**self._options(tokenizer, until, most))
            fresh = output.sequences[:, self.ids.shape[1] :]
            self.ids, self.rest = output.sequences, {}
            self.mask = torch.cat([self.mask, torch.ones_like(fresh)], dim=1)
            over, lengths = until.over.tolist(), until.lengths.tolist()
            for row, tokens, is_over, length in zip(self.rows, fresh.tolist(), over, lengths, strict=True):
                row.made += tokens[:length] if is_over else tokens
            return self._without(over)

    def _options(self, tokenizer: Any, until: _Until, most: int) -> Json:
        from transformers import LogitsProcessorList, StoppingCriteriaList

        options: Json = {"input_ids": self.ids, "attention_mask": self.mask, "max_new_tokens": most}
        options |= {
            "do_sample": False,
            "num_beams": 1,
            "stopping_criteria": StoppingCriteriaList([until]),
            "return_dict_in_generate": True,
        }
        if self.cache is not None:
            options["past_key_values"] = self.cache
        if any(row.dice for row in self.rows):
            options["logits_processor"] = LogitsProcessorList([Noise(self.rows)])
        return {**options, **self.rest, "pad_token_id": pad(tokenizer)}

    def _without(self, over: list[bool]) -> list[Started]:
        """Take rows out, and the columns in front that nobody needs then."""
        import torch

        left = [row for row, is_over in zip(self.rows, over, strict=True) if not is_over]
        gone = [row for row, is_over in zip(self.rows, over, strict=True) if is_over]
        self.rows = left
        if left and gone:
            keep = torch.tensor([place for place, is_over in enumerate(over) if not is_over], device=self.ids.device)
            front = int(self.mask[keep].argmax(dim=1).min())
            self.ids, self.mask = self.ids[keep, front:], self.mask[keep, front:]
            for layer in self.cache.layers:
                layer.narrow(keep, front)
        return gone

    def joined(self, other: Live, tokenizer: Any) -> Live:
        """Both batches as one; they stay as they are, so that nothing is lost when memory does not suffice."""
        import torch

        with torch.inference_mode():
            width = max(self.ids.shape[1], other.ids.shape[1])
            ids = torch.cat([_widened(half.ids, width, pad(tokenizer)) for half in (self, other)])
            mask = torch.cat([_widened(half.mask, width, 0) for half in (self, other)])
            whole = new_cache()
            for mine, theirs in zip(self.cache.layers, other.cache.layers, strict=True):
                whole.layers.append(mine.beside(theirs, width - 1))
        return Live(self.rows + other.rows, ids, mask, whole, {})


class Noise:
    """Turns the likeliest token into a draw: each row has its own generator, a row without one stays as it is."""

    def __init__(self, rows: list[Started]) -> None:
        self._rows = [(place, row.row.temperature, row.dice) for place, row in enumerate(rows) if row.dice]

    def __call__(self, _: Any, scores: Any) -> Any:
        """scores: (rows, vocabulary) logits. Noise is drawn on the CPU, so that a seed means the same anywhere."""
        import torch

        for place, temperature, dice in self._rows:
            uniform = torch.rand(scores.shape[1], generator=dice, dtype=torch.float32).clamp_(1e-20, 1 - 1e-7)
            gumbel = -torch.log(-torch.log(uniform))
            scores[place] = scores[place].float() / temperature + gumbel.to(scores.device)
        return scores


class _Until:
    """Tells `generate` when to stop: a row is over at an end token, a stop word, or its own limit.

    over, lengths: (rows,) which rows are over, and after how many tokens of this call.
    """

    def __init__(self, rows: list[Started], ends: frozenset[int], enough: int, words: Any) -> None:
        import torch

        self.over = torch.zeros(len(rows), dtype=torch.bool)
        self.lengths = torch.zeros(len(rows), dtype=torch.long)
        self._left = torch.tensor([row.row.most - len(row.made) for row in rows])
        self._ends = torch.tensor(sorted(ends), dtype=torch.long)
        self._enough, self._words, self._steps = enough, words, 0

    def __call__(self, ids: Any, scores: Any, **_: Any) -> Any:
        """ids: (rows, width), the newest token last. True for the rows that get no further token."""
        import torch

        self._steps += 1
        for name in ("over", "lengths", "_left", "_ends"):
            setattr(self, name, getattr(self, name).to(ids.device))
        over = torch.isin(ids[:, -1], self._ends) | (self._left <= self._steps)
        if self._words is not None:
            over = over | self._words(ids, scores)
        self.lengths = torch.where(over & ~self.over, self._steps, self.lengths)
        self.over = self.over | over
        return self.over | (self.over.sum() >= self._enough)


def _words(tokenizer: Any, stops: tuple[str, ...]) -> Any:
    from transformers import StopStringCriteria

    return StopStringCriteria(tokenizer, list(stops)) if stops else None


def pad(tokenizer: Any) -> int:
    """The token that fills up a row."""
    tokens = (tokenizer.pad_token_id, tokenizer.eos_token_id)
    return next((int(token) for token in tokens if token is not None), 0)


def padded(rows: list[Waiting], filler: int) -> tuple[Any, Any]:
    """(ids, mask) of rows, each (rows, longest prompt) int64, padded on the left."""
    import torch

    width = max(row.length for row in rows)
    ids = torch.tensor([[filler] * (width - row.length) + row.ids for row in rows])
    mask = torch.tensor([[0] * (width - row.length) + [1] * row.length for row in rows])
    return ids, mask


def _widened(values: Any, width: int, filler: int) -> Any:
    """(rows, width): columns of the filler in front."""
    import torch

    return torch.nn.functional.pad(values, (width - values.shape[1], 0), value=filler)


# ---- keys and values


def can_roll(model: Any) -> bool:
    """True when rows can leave the model's cache and join it: each layer keeps all keys and values, and nothing else.

    Sliding windows, linear attention and recurrent states are of another kind. One token is sent to find out.
    """
    import torch
    from transformers.cache_utils import Cache, DynamicLayer

    with torch.inference_mode():
        output = model(torch.zeros((1, 1), dtype=torch.long, device=model.device), use_cache=True)
    held = getattr(output, "past_key_values", None)
    return isinstance(held, Cache) and bool(held.layers) and all(type(layer) is DynamicLayer for layer in held.layers)


def new_cache() -> Any:
    """An empty cache whose layers grow with some columns in reserve."""
    from transformers.cache_utils import Cache

    return Cache(layer_class_to_replicate=_growing())


@cache
def _growing() -> Any:
    """The class of a layer; made when first needed, because its base is transformers'."""
    from transformers.cache_utils import DynamicLayer

    class Growing(DynamicLayer):  # type: ignore[misc]  # transformers brings no types
        """keys, values: (rows, heads, columns, width of a head), views of buffers that have columns to spare.

        DynamicLayer copies everything with every token; measured, that was 40 % of a step of 32 rows of 300 tokens.
        """

        keys: Any
        values: Any
        room = 0

        def update(self, key_states: Any, value_states: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
            """Append the newest columns; all of them."""
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            have, new = self.get_seq_length(), key_states.shape[-2]
            if have + new > self.room:
                self.room = have + new + SLACK
                self.buffers = [
                    _roomier(old, have, states, self.room)
                    for old, states in ((self.keys, key_states), (self.values, value_states))
                ]
            for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
                buffer[:, :, have : have + new] = states
            self.keys, self.values = (buffer[:, :, : have + new] for buffer in self.buffers)
            return self.keys, self.values

        def narrow(self, keep: Any, front: int) -> None:
            """Keep these rows, without the columns in front."""
            keep = keep.to(self.keys.device)
            self._hold(self.keys[keep, :, front:], self.values[keep, :, front:])

        def beside(self, other: Any, width: int) -> Any:
            """A layer with the rows of both, so many columns wide."""
            import torch

            whole = Growing()
            whole.lazy_initialization(self.keys, self.values)
            pairs = ((self.keys, other.keys), (self.values, other.values))
            whole._hold(*(torch.cat([_longer(half, width) for half in pair]) for pair in pairs))
            return whole

        def _hold(self, keys: Any, values: Any) -> None:
            self.keys, self.values, self.buffers, self.room = keys, values, [], 0

    return Growing


def _roomier(old: Any, have: int, states: Any, room: int) -> Any:
    """A buffer with room for so many columns that begins with the old ones."""
    buffer = states.new_zeros((*states.shape[:-2], room, states.shape[-1]))
    if have:
        buffer[:, :, :have] = old
    return buffer


def _longer(held: Any, width: int) -> Any:
    """Keys or values with empty columns in front; the mask hides them."""
    import torch

    return torch.nn.functional.pad(held, (0, 0, width - held.shape[-2], 0))
