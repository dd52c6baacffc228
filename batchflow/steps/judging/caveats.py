"""Caveats about a jury, and about batches shown together."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from batchflow import files
from batchflow.ledger.records import BatchRecord
from batchflow.steps.judging.ballot import Ballot, label
from batchflow.steps.judging.readings import extract_of, used
from batchflow.vendors import registry as vendors

if TYPE_CHECKING:
    from batchflow.score.agreement import Pair

ALIKE = 20  # answers: two judges that agree on so many, right and wrong ones among them, may be one model

Juries = Mapping[str, tuple[BatchRecord, Sequence[BatchRecord]]]
"""Batches by name, each with its judges."""


def houses_of_model(ballot: Ballot) -> frozenset[str]:
    """The houses that the evaluated model may be of, as its provider or its name tells."""
    own = {ballot.provider} - {"", *vendors.HERE}
    return frozenset(house for house in (vendors.maker_of(ballot.model), *own) if house)


def houses_of_judge(name: str) -> frozenset[str]:
    """The houses that a judge may be of, as its provider or its name tells."""
    provider, colon, _ = name.partition(":")
    return frozenset(house for house in (vendors.maker_of(name), provider if colon else None) if house)


def of_kin(ballot: Ballot) -> list[str]:
    """Judges from the house of the model that they judge, as their provider or their name tells."""
    houses, notes = houses_of_model(ballot), []
    for judge in ballot.judges:
        if judge.is_rule or not houses:
            continue
        provider, colon, _ = judge.name.partition(":")
        if colon and provider == ballot.provider and provider in houses:
            notes.append(f"{judge.name} judges a model of its own vendor")
        elif kin := sorted(houses_of_judge(judge.name) & houses):
            notes.append(f"{judge.name} seems to be of {kin[0]}, as the model that it judges")
    return notes


def of_twins(ballot: Ballot, pairs: Iterable[Pair]) -> list[str]:
    """Models that never differed. pairs: of the jury's agreement."""
    models = {judge.name for judge in ballot.judges if not judge.is_rule}
    twins = [
        f"{pair.judge_a} and {pair.judge_b} (n {pair.n})"
        for pair in pairs
        if pair.agreement == 1 and pair.kappa is not None and pair.n >= ALIKE
        if {pair.judge_a, pair.judge_b} <= models
    ]
    if not twins:
        return []
    return [f"these never differ: {', '.join(twins)}; if they are one model, the jury is smaller than it looks"]


def differences(juries: Juries) -> list[str]:
    """Lists the differences between batches besides their models: in the requests and in the juries."""
    batches = [batch for batch, _ in juries.values()]
    judges = [tuple(of) for _, of in juries.values()]
    facts: tuple[tuple[str, set[Hashable]], ...] = (
        ("data sets", {(batch.task, batch.split, batch.dataset_sha256) for batch in batches}),
        ("numbers of hints", {batch.hints for batch in batches}),
        ("prompts", {batch.template_sha256 for batch in batches if not vendors.traits_of(batch.provider).imported}),
        ("juries", {tuple(sorted(label(judge) for judge in of)) for of in judges}),
        ("extractors", {used(batch, extract_of(judge)) for batch, of in juries.values() for judge in of}),
    )
    return [*(what for what, values in facts if len(values) > 1), *_asked_otherwise(judges)]


def _asked_otherwise(juries: Sequence[Sequence[BatchRecord]]) -> list[str]:
    """Judges that sit in several of the juries and were not asked in the same way there."""
    ways: dict[str, set[str]] = {}
    for judge in (judge for jury in juries for judge in jury):
        if vendors.traits_of(judge.provider).asks_models:
            ways.setdefault(label(judge), set()).add(_way(judge))
    return [f"ways of asking {name}" for name, seen in ways.items() if len(seen) > 1]


def _way(judge: BatchRecord) -> str:
    how = (judge.template_sha256, dict(judge.params), judge.spec.get("judge_samples", 1), judge.spec.get("cascade"))
    return files.dumps(how).decode()
