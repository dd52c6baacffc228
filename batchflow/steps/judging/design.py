"""The design of a judged batch: where the variance of its score comes from, and what would narrow its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from batchflow.errors import DataError, UsageError
from batchflow.prices.rates import Band, band_of
from batchflow.steps.base.context import Context
from batchflow.steps.base.money.billing import Cost, RunCost
from batchflow.steps.base.money.estimating import price_of
from batchflow.steps.building.provider_choice import provider_named
from batchflow.steps.judging.ballot import Ballot

if TYPE_CHECKING:
    from batchflow.score.labelled.gold import Gold
    from batchflow.score.planning.components import Components
    from batchflow.score.planning.designs import Lever


@dataclass(frozen=True, slots=True)
class Price:
    """USD of one answer, or of one vote: a range. high None: not known."""

    low: float
    high: float | None

    def times(self, count: int) -> tuple[float, float | None]:
        """The range for so many."""
        return self.low * count, None if self.high is None else self.high * count


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens that a request is assumed to have: its prompt's, and its reply's, thinking included."""

    prompt: int
    reply: int

    def __str__(self) -> str:
        return f"{self.prompt:,} tokens in and {self.reply:,} out"


def price_by_tokens(context: Context, named: str, tokens: Tokens) -> tuple[Price | None, str]:
    """The price today of one request to `provider:model` with so many tokens, and a note on where it comes from.

    None where the model has no price. Raises UsageError for a text of another form, or an unknown provider.
    """
    word, _, model = named.partition(":")
    if not word or not model:
        raise UsageError(f"{named!r} is no PROVIDER:MODEL", hint="for example openai:gpt-6-luna")
    provider = provider_named(context.settings, word)
    quote = price_of(context, provider, model)
    if quote.low is None or quote.high is None:
        return None, f"{provider}:{model} has no known price ({quote.why})"
    band = Band(band_of(tokens.prompt), 1, tokens.prompt, output=tokens.reply)
    note = f"{provider}:{model} at {tokens} assumed, price of {quote.source}"
    return Price(quote.low.cost([band]), quote.high.cost([band])), note


def prices(cost: RunCost | None) -> tuple[Price | None, Price | None]:
    """Prices of an answer and a vote of a run, from its bill; None where nothing is billed."""
    if cost is None:
        return None, None
    return _price(cost.batch + cost.retries, cost.batch.requests), _price(cost.jury, cost.jury.requests)


def _price(cost: Cost, count: int) -> Price | None:
    if cost.is_free:
        return Price(0.0, 0.0)
    if not count:
        return None
    return Price((cost.low_usd or 0.0) / count, None if cost.high_usd is None else cost.high_usd / count)


def split(ballot: Ballot, field: str) -> tuple[Components, tuple[str, ...], tuple[str, ...]]:
    """The components of a batch's variance, the judges in it, and those left out. Raises DataError."""
    from batchflow.score.planning.components import components
    from batchflow.score.planning.pilots import table_of

    table = table_of(ballot.votes(), field)
    return components(table.values, ballot.owners), table.judges, table.out


def levers_of(ballot: Ballot, field: str, cost: RunCost | None, *, level: float) -> tuple[Lever, ...]:
    """Ways to narrow a score for its money, the best first; empty where the votes cannot tell."""
    from batchflow.score.planning.designs import levers

    try:
        parts, judges, _ = split(ballot, field)
    except DataError:
        return ()
    answer, vote = prices(cost)
    items, share = len(set(ballot.owners or ())) or len(ballot.items), _vote_share(answer, vote, len(judges))
    listed = levers(parts, items, max(parts.n_samples, 1), len(judges), vote_share=share, level=level)
    by_rule = all(judge.is_rule for judge in ballot.judges)  # another rule is no further judge of the same kind
    return tuple(lever for lever in listed if lever.name != "judges" or not by_rule)


def labelled(ballot: Ballot, gold: Gold, field: str) -> tuple[int, float, float] | None:
    """Number of labels of a batch's own answers, their variance, and their correlation with the jury; None with few."""
    from batchflow.score.labelled.own_labels import own_labels
    from batchflow.score.planning.pilots import beside_labels

    if not gold.labelled(field).any():
        return None
    labels = own_labels(ballot.items, gold, field, provider=ballot.provider, model=ballot.model)
    return beside_labels(ballot.votes(), labels, field)


def levers_of_labels(ballot: Ballot, gold: Gold, field: str, *, level: float) -> tuple[Lever, ...]:
    """Ways to narrow a score that labels correct: more labels, or more judged items; empty with too few labels."""
    from batchflow.score.planning.designs import label_levers

    pair = labelled(ballot, gold, field)
    if pair is None:
        return ()
    count, variance, rho = pair
    return label_levers(variance, rho, len(set(ballot.item_of)) or len(ballot.items), count, level=level)


def _vote_share(answer: Price | None, vote: Price | None, judges: int) -> float:
    """The votes' part of the costs; by the number of requests where the prices are not known, or nobody is paid."""
    if answer is None or vote is None or answer.high is None or vote.high is None or not vote.high:
        return judges / (judges + 1)
    return judges * vote.high / (judges * vote.high + answer.high)


_MORE = {
    "labels": "twice the labels", "items": "twice the items", "samples": "twice the samples of each",
    "judges": "twice the judges",
}  # fmt: skip


def told(levers: Sequence[Lever]) -> str:
    """One line: what narrows the interval most, and what the others would do."""
    best, *others = levers
    listed = [f"{_MORE[each.name]} {100 * each.half_width:.1f}" for each in (best, *others)]
    what = "" if any(each.name == "labels" for each in levers) else " with the choice of judges in it"
    return f"more {best.name} first; half-width{what}: {', '.join(listed)}"


def as_points(parts: Components) -> Mapping[str, Any]:
    """The components as standard deviations in points of 100, which people can read; None where one cannot tell."""
    return {name: None if value is None else 100 * value**0.5 for name, value in parts.parts.items()}
