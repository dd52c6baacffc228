"""Specification of a run: from flags and a file of settings to its batches, their juries and their scores."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from itertools import product
from pathlib import Path
from typing import Any

from batchflow import documents
from batchflow.batch_file import safe
from batchflow.errors import UsageError
from batchflow.judges.scripts.sandbox import absolute
from batchflow.steps.building.local_options import LocalFlags
from batchflow.steps.building.staging import FIRST, Staging
from batchflow.steps.running.plan import RETRIES, Policy, Step
from batchflow.steps.verbs.submission.prepare import PrepareOptions

VARIED = (
    "split", "hints", "limit", "samples", "seed", "max_tokens", "temperature", "thinking_level", "thinking_budget",
    "template", "system_prompt", "endpoint",
)  # fmt: skip
"""Options that a file may list several values of: each combination is a batch."""

_LISTS = frozenset({"map", "extract", "base_url", "engine_arg"})
_PATHS = frozenset({"dataset", "ids", "template", "judge_template"})
_LOCAL = frozenset(one.name for one in fields(LocalFlags)) - {"retries"}
_PREPARED = frozenset(one.name for one in fields(PrepareOptions)) - {
    "local",
    "provider",
    "model",
    "name",
    "staging",
    "tag",
}
_OWN = frozenset({
    "models", "name", "canary", "judges", "kind", "judge_template", "judge_samples", "cascade", "retries", "until",
    "field", "by", "cluster", "precision", "decide", "first_stage", "order_seed",
    "this_data_set", "max_cost",
})  # fmt: skip
KEYS = _OWN | _PREPARED | _LOCAL


@dataclass(frozen=True, slots=True, kw_only=True)
class JuryWish:
    """The jury of every batch of a run. local: for judges of one's own."""

    judges: tuple[str, ...] = ()
    kind: str | None = None
    template: str | None = None
    samples: int = 1
    cascade: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWish:
    """Options of the scores of a run's batches."""

    field: str | None = None
    by: tuple[str, ...] = ()
    cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Record of a run in the ledger: everything but the batches' own settings, which are theirs.

    precision: half the width, in points, at which a score that is sent in stages is good enough. decide: two models are
    sent in stages until one of them is better.
    """

    names: tuple[str, ...] = ()
    canary: int | None = None
    retries: int = RETRIES
    until: str = Step.REPORT.value
    jury: JuryWish = field(default_factory=JuryWish)
    score: ScoreWish = field(default_factory=ScoreWish)
    precision: float | None = None
    decide: bool = False

    @property
    def rule(self) -> str | None:
        """The rule by which it ends early; None for a run that is sent as a whole."""
        return "decide" if self.decide else None if self.precision is None else f"precision {self.precision:g}"

    @property
    def policy(self) -> Policy:
        """As the plan takes it."""
        return Policy(self.retries, Step(self.until), self.rule)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for the ledger."""
        return asdict(self)

    @classmethod
    def of_json(cls, facts: Mapping[str, Any]) -> Wish:
        """The wish that the ledger kept."""
        jury, score = dict(facts["jury"]), dict(facts["score"])
        return cls(
            names=tuple(facts["names"]), canary=facts["canary"], retries=facts["retries"], until=facts["until"],
            jury=JuryWish(**jury | {"judges": tuple(jury["judges"])}),
            score=ScoreWish(**score | {"by": tuple(score["by"])}),
            precision=facts.get("precision"), decide=bool(facts.get("decide")),
        )  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    """The settings of a run from a TOML file; paths in it are relative to its folder. Raises UsageError."""
    document = documents.read(path).values
    for key in document:
        if key not in KEYS:
            near = get_close_matches(key, KEYS, n=1)
            meant = f"did you mean {near[0]}? " if near else ""
            raise UsageError(f"{path}: {key}: unknown", hint=f"{meant}It may hold {', '.join(sorted(KEYS))}")
    return {key: _located(path, key, value) for key, value in document.items()}


def _located(path: Path, key: str, value: Any) -> Any:
    if key not in _PATHS and not (key == "kind" and str(value).endswith(".toml")):
        return value
    values = [path.parent / str(one) for one in (value if isinstance(value, list) else [value])]
    for one in values:
        if not one.exists():
            raise UsageError(f"{path}: {key}: there is no file {one}", hint="paths are relative to that file's folder")
    return values if isinstance(value, list) else values[0]


def wish(given: Mapping[str, Any]) -> Wish:
    """Reads what the run is to do with its batches. Raises UsageError."""
    jury = JuryWish(
        judges=tuple(absolute(text) for text in _texts("judges", given.get("judges"))),
        kind=None if given.get("kind") is None else str(given["kind"]),
        template=None if given.get("judge_template") is None else str(Path(given["judge_template"]).resolve()),
        samples=_count("judge_samples", given.get("judge_samples"), least=1) or 1,
        cascade=given.get("cascade"),
    )
    retries = _count("retries", given.get("retries"))
    precision, decide = _stopping(given)
    return Wish(
        precision=precision,
        decide=decide,
        canary=_count("canary", given.get("canary"), least=1),
        retries=RETRIES if retries is None else retries,
        until=_step(given.get("until")).value,
        jury=jury,
        score=ScoreWish(field=given.get("field"), by=_texts("by", given.get("by")), cluster=given.get("cluster")),
    )


def _stopping(given: Mapping[str, Any]) -> tuple[float | None, bool]:
    """Precision and decision of a run that is sent in stages. Raises UsageError for what they exclude."""
    precision = amount("precision", given.get("precision"))
    decide = given.get("decide") or False
    if not isinstance(decide, bool):
        raise UsageError(f"decide: {decide!r} is neither true nor false")
    if precision is not None and not 0 < precision < 50:
        raise UsageError(f"precision: {precision:g} points is out of range", hint="half the width, for example 2")
    if precision is not None and decide:
        raise UsageError("a run ends at a precision, or when it has decided", hint="leave --precision or --decide out")
    staged = precision is not None or decide
    for key in ("canary", "cascade"):
        if staged and given.get(key) is not None:
            raise UsageError(f"{key}: not for a run in stages", hint=_WHY_NOT[key])
    for key in ("first_stage", "order_seed", "this_data_set"):
        if not staged and given.get(key) not in {None, False}:
            raise UsageError(f"{key}: for a run in stages only", hint="add --precision POINTS, or --decide")
    return precision, decide


_WHY_NOT = {
    "canary": "its first stage is one: nothing more is sent until its answers are judged (--first-stage N)",
    "cascade": "leave out --cascade: judges are asked about each stage, and a rule would settle the first one only",
}


def staging_of(given: Mapping[str, Any]) -> Staging | None:
    """The stages of the batches; None for a run that is sent as a whole. Raises UsageError."""
    if _stopping(given) == (None, False):
        return None
    first, seed = (
        _count("first_stage", given.get("first_stage"), least=1),
        _count("order_seed", given.get("order_seed")),
    )
    own = given.get("this_data_set") or False
    if not isinstance(own, bool):
        raise UsageError(f"this_data_set: {own!r} is neither true nor false")
    return Staging(seed=seed or 0, first=first or FIRST, cluster=given.get("cluster"), this_data_set=own)


def batches_of(given: Mapping[str, Any], providers: Container[str]) -> list[PrepareOptions]:
    """The settings of every batch: one for each model and combination of values. Raises UsageError.

    providers: all there are; the word in front of a model's colon is one of them, or part of the model's name.
    """
    models = _texts("models", given.get("models")) or ("",)
    varied = {key: _values(key, given[key]) for key in VARIED if key in given}
    fixed = {key: _fixed(key, value) for key, value in given.items() if key in _PREPARED and key not in varied}
    fixed["local"] = LocalFlags(**{key: _fixed(key, value) for key, value in given.items() if key in _LOCAL})
    fixed["staging"] = staging_of(given)
    several = {key for key, values in varied.items() if len(values) > 1}
    wishes = []
    for provider, name in (_split(model, providers) for model in models):
        for values in product(*varied.values()):
            chosen = dict(zip(varied, values, strict=True))
            tags = {key: _tag(key, chosen[key]) for key in varied if key in several}
            whole = given.get("name")
            if whole and len(models) > 1:
                whole = f"{whole}_{safe(provider)}_{safe(name or 'default')}"
            named = f"{whole}{''.join(tags.values())}" if whole else None
            tag = "" if whole else "".join(text for key, text in tags.items() if key not in _IN_NAMES)
            facts: dict[str, Any] = {"provider": provider or None, "model": name or None, "name": named, "tag": tag}
            wishes.append(PrepareOptions(**facts, **fixed, **chosen))
    return wishes


def _split(model: str, providers: Container[str]) -> tuple[str, str]:
    """Provider and model of `provider:model`, either of which may be missing."""
    word, _, rest = model.partition(":")
    return (word.lower(), rest) if word.lower() in providers else ("", model)


_IN_NAMES = frozenset({"split", "hints"})
"""Options that the name of a batch holds by itself, for tasks with hints."""


def _tag(key: str, value: Any) -> str:
    text = value.stem if isinstance(value, Path) else str(value)
    return f"_{key.replace('_', '-')}_{safe(text)[:24]}"


def _values(key: str, value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise UsageError(f"{key}: names no value", hint="leave it out")
    if len({str(one) for one in values}) < len(values):
        raise UsageError(f"{key}: names a value twice", hint="each value is a batch")
    return values


def _fixed(key: str, value: Any) -> Any:
    if key in _LISTS:
        return _texts(key, value)
    if isinstance(value, list | dict):
        raise UsageError(f"{key}: takes one value", hint=f"several values can be listed for {', '.join(VARIED)}")
    return value


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    several: Sequence[Any] = value.split(",") if isinstance(value, str) else value
    if isinstance(value, Mapping) or not isinstance(several, Iterable):
        raise UsageError(f"{key}: has to be a text, or a list of texts")
    return tuple(_words(key, several))


def _words(key: str, several: Iterable[Any]) -> Iterator[str]:
    for one in several:
        if not isinstance(one, str):
            raise UsageError(f"{key}: {one!r} is not a text")
        if one.strip():
            yield one.strip()


def _count(key: str, value: Any, *, least: int = 0) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value < least:
        raise UsageError(f"{key}: {value!r} is not a whole number of at least {least}")
    return value


def amount(key: str, value: Any) -> float | None:
    """A number of at least 0; None where there is none. Raises UsageError."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise UsageError(f"{key}: {value!r} is not a number of at least 0")
    return float(value)


def _step(value: Any) -> Step:
    if value is None:
        return Step.REPORT
    try:
        return Step(value)
    except ValueError:
        raise UsageError(f"until: {value!r} is not a step", hint=f"steps: {', '.join(Step)}") from None
