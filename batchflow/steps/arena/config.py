"""The settings of an arena: EvalScope's YAML with the keys that it has there, and a few of our own beside them.

Paths are relative to the file. A class that `ref` names is never imported: a table says what it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchflow import documents
from batchflow.batch_file import safe
from batchflow.documents import Table
from batchflow.errors import UsageError
from batchflow.records import Json
from batchflow.registries import nearest

MODES = ("pairwise", "pairwise_baseline", "single")
ORDERS = ("none", "swap_position", "randomize_order")
PARSERS = ("lmsys_parser", "ranking_parser")
METHODS = {"elo": "elo", "pairwise": "winrate", "score": "score", "bt": "bt", "winrate": "winrate"}
REVIEWERS = {  # classes of theirs, and the provider that stands for each
    "evalscope.evaluator.reviewer.auto_reviewer:AutoReviewerGpt4": "openai",
    "llmuses.evaluate.reviewer.auto_reviewer:AutoReviewerGpt4": "openai",
    "llmuses.evaluator.reviewer.auto_reviewer:AutoReviewerGpt4": "openai",
}
SEED = 123
_SENT = {"max_new_tokens": "max_tokens", "max_tokens": "max_tokens", "temperature": "temperature"}
_UNSENT = ("do_sample", "top_k", "top_p", "num_beams", "repetition_penalty")


@dataclass(frozen=True, slots=True)
class Model:
    """One candidate. unsent: keys of its generation_config that no request has a place for."""

    name: str
    model: str
    enabled: bool
    output_file: Path
    provider: str = "local"
    base_url: tuple[str, ...] = ()
    engine: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    unsent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reviews:
    """Settings of the reviewer. order: of the two answers, against a bias for one position; see `ORDERS`."""

    enabled: bool
    provider: str
    model: str
    base_url: tuple[str, ...]
    max_tokens: int | None
    temperature: float | None
    mode: str
    order: str
    seed: int
    parser: str
    output_format: str | None
    prompt_file: Path | None
    targets: tuple[Path, ...]
    baseline_file: Path | None
    reference_file: Path | None
    cache_files: tuple[Path, ...]
    review_file: Path


@dataclass(frozen=True, slots=True)
class Arena:
    """An arena. stem: what the names of its batches begin with."""

    path: Path
    stem: str
    question_file: Path
    models: tuple[Model, ...]
    reviews: Reviews
    rates: bool
    method: str
    baseline_model: str | None
    report_file: Path
    notes: tuple[str, ...] = field(default=())

    def batch_of(self, model: Model) -> str:
        """The name of the batch of a candidate's answers."""
        return f"{self.stem}_{safe(model.name)}"

    @property
    def reviewing(self) -> str:
        """The name of the reviewer's batch."""
        return f"{self.stem}_reviews"

    @property
    def asked(self) -> tuple[Model, ...]:
        """Candidates that are enabled."""
        return tuple(model for model in self.models if model.enabled)

    def name_of(self, text: str) -> str:
        """The candidate's name for a model's name in a file: EvalScope writes its model_id_or_path there."""
        if any(model.name == text for model in self.models):
            return text
        names = [model.name for model in self.models if model.model == text]
        return names[0] if len(names) == 1 else text


def read(path: Path) -> Arena:
    """The arena that a YAML or TOML file describes. Raises UsageError with file, line and key."""
    top = documents.read(path)
    top.known("question_file", "answers_gen", "reviews_gen", "rating_gen")
    gen = top.table("answers_gen")
    models = tuple(_model(Table(path, top.text, _table(gen, name), (*gen.keys, str(name)))) for name in gen.values)
    if len({safe(model.name) for model in models}) < len(models):
        raise UsageError(f"{gen.where()}: two names are the same but for their marks")
    if len({model.output_file for model in models}) < len(models):
        raise UsageError(f"{gen.where()}: two candidates have one output_file")
    rating = top.table("rating_gen")
    rating.known("enable", "metrics", "baseline_model", "report_file")
    metrics = rating.texts("metrics") or ("elo",)
    for metric in metrics:
        if metric not in METHODS:
            raise UsageError(
                f"{rating.where('metrics')}: no metric is called {metric!r}",
                hint=nearest(metric, tuple(METHODS), "metrics"),
            )
    reviews = _reviews(top.table("reviews_gen"))
    notes = [
        f"{model.name}: generation_config {', '.join(model.unsent)} is not sent: requests have no place for it"
        for model in models
        if model.unsent and model.enabled
    ]
    return Arena(
        path, safe(path.stem), _path(top, "question_file", needed=True), models, reviews,
        rates=bool(rating.get("enable", bool, True)), method=METHODS[metrics[0]],
        baseline_model=rating.get("baseline_model", str),
        report_file=_path(rating, "report_file") or path.parent / "reports" / f"{path.stem}.csv", notes=tuple(notes),
    )  # fmt: skip


def _table(parent: Table, name: Any) -> Json:
    values = parent.values[name]
    if not isinstance(values, dict):
        raise UsageError(f"{parent.where(str(name))}: a table is expected, not {values!r:.60}")
    return values


def _path(table: Table, key: str, *, needed: bool = False) -> Any:
    """A path, relative to the file; None without one."""
    text = table.needed(key) if needed else table.get(key, str)
    return table.path.parent / str(text) if text else None


def _paths(table: Table, key: str) -> tuple[Path, ...]:
    """Paths of a list, or of one text, relative to the file."""
    return tuple(table.path.parent / text for text in table.texts(key)) if table.values.get(key) else ()


def _model(table: Table) -> Model:
    table.known(
        "model_id_or_path", "revision", "precision", "enable", "template_type", "generation_config", "output_file",
        "provider", "base_url", "engine",
    )  # fmt: skip
    config = table.table("generation_config")
    config.known(*_SENT, *_UNSENT)
    unsent = [name for name in _UNSENT if name in config.values and name != "do_sample"]
    sampled = config.get("do_sample", bool, True)
    name = table.keys[-1]
    return Model(
        name=name,
        model=table.needed("model_id_or_path"),
        enabled=bool(table.get("enable", bool, True)),
        output_file=_path(table, "output_file") or table.path.parent / "answers" / f"answer_{name}.jsonl",
        provider=table.get("provider", str, "local"),
        base_url=table.texts("base_url"),
        engine=table.get("engine", str),
        max_tokens=config.get("max_tokens", int) or config.get("max_new_tokens", int),
        temperature=config.get("temperature", float) if sampled else 0.0,
        unsent=tuple(unsent),
    )


def _reviews(table: Table) -> Reviews:
    table.known(
        "enable", "reviewer", "prompt_file", "target_answers", "baseline_file", "reference_file", "cache_file",
        "review_file",
    )  # fmt: skip
    reviewer = table.table("reviewer")
    reviewer.known("ref", "args")
    ref = reviewer.get("ref", str)
    if ref is not None and ref not in REVIEWERS:
        raise UsageError(
            f"{reviewer.where('ref')}: no class of somebody else is imported",
            hint=f"leave it out and name provider and model in args; known: {', '.join(REVIEWERS)}",
        )
    args = reviewer.table("args")
    args.known(
        "model", "max_tokens", "temperature", "mode", "position_bias_mitigation", "random_seed", "fn_completion_parser",
        "completion_parser_kwargs", "provider", "base_url",
    )  # fmt: skip
    kwargs = args.table("completion_parser_kwargs")
    kwargs.known("output_format")
    return Reviews(
        enabled=bool(table.get("enable", bool, True)),
        provider=args.get("provider", str) or REVIEWERS.get(ref or "", "openai"),
        model=args.get("model", str, ""),
        base_url=args.texts("base_url"),
        max_tokens=args.get("max_tokens", int),
        temperature=args.get("temperature", float),
        mode=_word(args, "mode", MODES),
        order=_word(args, "position_bias_mitigation", ORDERS),
        seed=args.get("random_seed", int, SEED),
        parser=_word(args, "fn_completion_parser", PARSERS),
        output_format=kwargs.get("output_format", str),
        prompt_file=_path(table, "prompt_file"),
        targets=_paths(table, "target_answers"),
        baseline_file=_path(table, "baseline_file"),
        reference_file=_path(table, "reference_file"),
        cache_files=_paths(table, "cache_file"),
        review_file=_path(table, "review_file") or table.path.parent / "reviews" / f"{table.path.stem}.jsonl",
    )


def _word(table: Table, key: str, words: tuple[str, ...]) -> str:
    """One of some words; the first where the file says nothing, or NULL in any spelling."""
    text = str(table.get(key, str) or words[0])
    if text.lower() in {"null", "none"}:
        return words[0]
    if text not in words:
        raise UsageError(f"{table.where(key)}: {text!r:.60} is unknown", hint=nearest(text, words, "words"))
    return text
