"""One score with everything that a reader needs to believe it: what `score` shows for one judged batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from dataclasses import field as member
from typing import Any

import numpy as np

from batchflow.errors import DataError, UsageError
from batchflow.records import Level
from batchflow.score.agreement import Agreement, Basis, Trial, agree
from batchflow.score.base.arguments import FloatArray, label
from batchflow.score.base.clusters import Labels, cluster
from batchflow.score.intervals import LEVEL, RESAMPLES, SEED, Interval, Settings, bootstrap_fails, estimate, wilson
from batchflow.score.labelled.calibration import (
    Calibrated,
    from_others,
    ppi,
    with_wrong,
)
from batchflow.score.labelled.gold import Gold, LabelArray, columns_of, votes_elsewhere
from batchflow.score.labelled.layton import layton, layton_bins
from batchflow.score.labelled.own_labels import own_labels
from batchflow.score.labelled.reliability import expected_slope
from batchflow.score.labelled.stratified import ppi_stratified, strata_of, stratum_weights
from batchflow.score.latent.fit import JudgeQuality, dawid_skene
from batchflow.score.metrics import MEAN, Measured, by_item, measure
from batchflow.score.parts import mean_of_parts
from batchflow.score.values import MISSING, Values, Votes, as_votes, item_values

METHODS = ("mean", "majority", "dawid-skene", "ppi", "layton")
GOLD_METHODS = ("ppi", "layton")
DAWID_SKENE = "dawid-skene"


@dataclass(frozen=True, slots=True)
class JudgeMean:
    """Votes of one judge on the field. mean: of its valid votes, None where it has none."""

    judge: str
    mean: float | None
    votes: int
    missing: int


@dataclass(frozen=True, slots=True)
class GroupScore:
    """The score of the items that share one value of a `--by` column; None where none of them was judged."""

    group: str
    score: float | None
    interval: Interval | None
    n_items: int
    n_judged: int


@dataclass(frozen=True, slots=True)
class Summary:
    """One score and how it was made. Shares are 0–1 floats.

    mean: of the votes (of their majority where that is the method), before labels, Dawid and Skene's fit or the mean
    of parts make another score of it; percentile and wilson are around it. bounds_low, bounds_high: the mean over all
    items if every missing vote said wrong, or right; None where the score is not that mean, or weighted, so that these
    bounds need not hold it. published: the interval of the method's authors,
    where ours is another. complete: no vote that was asked for is missing. n_items: items of the batch, unjudgeable
    ones included. n_judged: items in the mean that have a vote. counted_wrong: items in the mean without an answer, as
    wrong; excluded: items without an answer that are in no bound either. votes_missing: verdicts that were asked for
    and are not there, votes_unparsed of them came back and could not be read.
    alpha: Krippendorff's, None where nothing can be said. agreement: of the judges, in full.
    metric: what the values of an item's answers make of it; with another than the mean, mean and score are of items.
    macro: the column over whose groups the score is a mean, each as heavy as the others; weighted: whether items have
    weights. latent: each judge as Dawid and Skene's method sees it; empty for another method.
    """

    field: str
    score: float
    mean: float
    interval: Interval
    method: str
    seed: int
    complete: bool
    n_items: int
    n_judged: int
    unjudgeable: int
    votes_missing: int
    votes_unparsed: int
    bounds_low: float | None
    bounds_high: float | None
    majority: float
    alpha: float | None
    agreement: Agreement
    judges: tuple[JudgeMean, ...]
    percentile: Interval
    wilson: Interval
    published: Interval | None = None
    counted_wrong: int = 0
    excluded: int = 0
    groups: Mapping[str, tuple[GroupScore, ...]] = member(default_factory=dict)
    footnotes: tuple[str, ...] = ()
    metric: str = MEAN
    macro: str | None = None
    weighted: bool = False
    latent: tuple[JudgeQuality, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values; the same call on the same votes gives the same bytes."""
        whole = asdict(self)
        intervals = {name: whole.pop(name) for name in ("percentile", "wilson")}
        if (published := whole.pop("published")) is not None:
            intervals["published"] = published
        return {
            "score": whole.pop("score"),
            "ci_low": self.interval.low,
            "ci_high": self.interval.high,
            "level": self.interval.level,
            **whole,
            "intervals": intervals,
            "agreement": {**whole["agreement"], "apart": list(self.agreement.apart)},
            "judges": list(whole["judges"]),
            "latent": list(whole["latent"]),
            "groups": {column: list(rows) for column, rows in whole["groups"].items()},
            "footnotes": list(self.footnotes),
        }


def summarise(
    votes: Votes,
    *,
    field: str | None = None,
    method: str = "mean",
    ci: str = "auto",
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    clusters: Labels | None = None,
    gold: Gold | None = None,
    groups: Mapping[str, Sequence[Hashable]] | None = None,
    metric: str = MEAN,
    item_of: Sequence[Hashable] | None = None,
    weights: Sequence[float] | None = None,
    macro: str | None = None,
) -> Summary:
    """Score one jury's votes on one field, the first one of the votes unless another is named.

    method: mean or majority of the votes, both with the interval named by `ci`; dawid-skene (`latent`); ppi (PPI++ if
    `gold` labels items of this model, else Rogan–Gladen from other models' labels); layton (the predecessor's). The
    last two need `gold`; all three make their own interval, and `clusters` enter that of dawid-skene alone.
    clusters: one label per item of `votes.items`. groups: column name -> one value per item of `votes.items`.
    metric: see `metrics`. item_of: for another metric than the mean, whose answer each item of `votes.items` is.
    weights: one per item of `votes.items`, for a weighted mean. macro: one of the groups' columns; the score is then
    the mean of its groups' scores.
    Raises UsageError for an unknown field, method, ci, level or seed, DataError where nobody voted on the field.

    >>> from batchflow.score.riddle import votes_from
    >>> right = [[True] * 30 + [False] * 20]
    >>> found = summarise(votes_from(["judge"], [str(n) for n in range(50)], right, right), seed=1)
    >>> f"{found.score:.2f} [{found.interval.low:.2f}, {found.interval.high:.2f}]"
    '0.60 [0.46, 0.72]'
    """
    if method not in METHODS:
        raise UsageError(f"there is no method called {method!r}", hint=f"choose one of {', '.join(METHODS)}")
    values = item_values(votes, field or next(iter(votes.cast)))
    refuse_unfit(method, votes.level_of(values.field))
    _refuse_mixed(method, ci, weighted=weights is not None, macro=macro, groups=groups)
    settings = Settings(ci, level, resamples, seed)
    corrected = (
        _calibrated(votes, values, gold, method=method, level=level, seed=seed) if method in GOLD_METHODS else None
    )
    scored, qualities = values.majority if method == "majority" else values.mean, tuple[JudgeQuality, ...]()
    measured = _measured(scored, values, metric, item_of or votes.items, method)
    is_boolean = None if measured else votes.level_of(values.field) is Level.NOMINAL
    units = judged_labels(clusters, values)
    heavy = judged_labels(weights, values)
    score = estimate(
        measured.values if measured else scored,
        _first(units, measured) if measured else units,
        settings,
        boolean=is_boolean,
        weights=_first(heavy, measured) if measured else heavy,
    )
    if method == DAWID_SKENE:
        corrected, scored, qualities = _latent(votes, values, clusters, settings)
    by_group = {
        column: _by_group(scored, values, labels, (clusters, weights), settings, measured, is_boolean=is_boolean)
        for column, labels in (groups or {}).items()
    }
    if macro is not None:
        corrected = _of_parts(macro, by_group[macro])
    jury = _agreement(votes, values, gold, settings)
    low, high = values.majority_bounds if method == "majority" else values.bounds
    by_labels = method in GOLD_METHODS
    return Summary(
        field=str(values.field),
        score=corrected.score if corrected else score.mean,
        mean=score.mean,
        interval=corrected.interval if corrected else score.interval,
        method=method,
        seed=seed,
        complete=values.complete,
        n_items=values.n_items,
        n_judged=values.n_judged,
        unjudgeable=votes.unjudgeable,
        counted_wrong=votes.wrong,
        excluded=votes.excluded,
        votes_missing=values.votes_missing,
        votes_unparsed=votes.unparsed,
        # summed in another order than the mean, so that they may miss it by the last bit where no vote is missing
        bounds_low=None if corrected or measured or weights else min(low, score.mean),
        bounds_high=None if corrected or measured or weights else max(high, score.mean),
        majority=float(values.majority.mean()),
        alpha=jury.alpha,
        agreement=jury,
        judges=_judge_means(votes, values),
        percentile=score.percentile,
        wilson=score.wilson,
        published=corrected.published if corrected else None,
        groups=by_group,
        metric=metric,
        macro=macro,
        weighted=weights is not None,
        latent=qualities,
        footnotes=(
            *(corrected or score).footnotes,
            *(_correction_notes(votes, values, gold, method, grouped=bool(groups)) if by_labels and gold else ()),
            *(_cluster_notes(score.percentile, method) if by_labels else ()),
            *_missing_notes(votes, values, score.mean, bounded=not corrected and not measured and not weights),
            *_short_notes(metric, measured),
            *_jury_notes(jury, votes.judges, gold),
            *(_stranger_notes(votes, values, gold) if gold and (by_labels or jury.gold_basis) else ()),
        ),
    )


def _agreement(votes: Votes, values: Values, gold: Gold | None, settings: Settings) -> Agreement:
    """Agreement of the judges, and their accuracy where labels exist."""
    return agree(
        votes.judges,
        votes.of(values.field),
        scale=votes.level_of(values.field),
        labels=_labels(votes, values, gold),
        weights=_weights(votes, values, gold),
        elsewhere=_elsewhere(votes, values, gold),
        level=settings.level,
        resamples=settings.resamples,
        seed=settings.seed,
    )


def _calibrated(votes: Votes, values: Values, gold: Gold | None, *, method: str, level: float, seed: int) -> Calibrated:
    """The score that gold labels correct; whose answers they label decides how."""
    if gold is None:
        raise UsageError(f"--method {method} needs human labels of this task and split", hint="add --gold labels.jsonl")
    field = values.field
    refuse_other_field(gold, field)
    if method == "layton":
        answered = slice(len(values.mean) - votes.wrong)  # as published: unanswered items are in no mean
        bins = layton_bins(values.right[answered], values.valid[answered], gold, field, provider=votes.provider)
        return layton(bins, level=level, seed=seed)
    if not votes.model and any(gold.models):
        raise UsageError(
            "--method ppi tells the evaluated model's own labels from others' by its name, which is not known here",
            hint=f"add --model NAME; the labels name {', '.join(sorted(set(gold.models) - {''}))}",
        )
    _refuse_unclear_vendor(votes, gold)
    whose = {"provider": votes.provider, "model": votes.model}
    voted = values.judged & ~votes.counts_as_wrong
    judged = [item for item, kept in zip(votes.items, voted.tolist(), strict=True) if kept]
    mean, majority = (each[: len(judged)] for each in (values.mean, values.majority))
    labels = own_labels(tuple(judged), gold, field, **whose)
    if not labels:
        if votes.level_of(field) is not Level.NOMINAL:
            raise DataError(
                f"no gold label is of this model's answers, and {field} is not right or wrong: labels of other models "
                "cannot correct it",
                hint="label some of this batch's answers",
            )
        return with_wrong(from_others(majority, gold, field, level=level, **whose), votes.wrong)
    known = np.array([item in labels for item in judged])
    human = np.array([labels[item] for item in judged if item in labels], dtype=np.float64)
    if gold.design is not None and not gold.design.drawn.isdisjoint(labels):
        strata, drawn = strata_of(gold.design, judged, mean), [item in gold.design.drawn for item in judged]
        return with_wrong(ppi_stratified(human, mean, known, strata, drawn=drawn, level=level), votes.wrong)
    slope = expected_slope(votes.of(field)[:, voted], binary=votes.level_of(field) is Level.NOMINAL)
    return with_wrong(ppi(human, mean[known], mean[~known], level=level, slope=slope), votes.wrong)


def _measured(
    scored: FloatArray, values: Values, metric: str, item_of: Sequence[Hashable], method: str
) -> Measured | None:
    """Items by another metric than the mean; None for the mean, of which answers are enough."""
    how = measure(metric)
    if how.name == MEAN:
        return None
    if method in {*GOLD_METHODS, DAWID_SKENE}:
        raise UsageError(f"--method {method} corrects means, not {metric}", hint="--method mean")
    return by_item(scored, [item for item, kept in zip(item_of, values.judged.tolist(), strict=True) if kept], how)


def _first(labels: Sequence[Any] | None, measured: Measured) -> list[Any] | None:
    """The label of each measured item: that of its first answer."""
    return None if labels is None else [labels[place] for place in measured.first.tolist()]


def _short_notes(metric: str, measured: Measured | None) -> list[str]:
    if measured is None:
        return []
    notes = [f"{metric} is of {len(measured.values)} items, each with all its judged answers"]
    if measured.short:
        notes.append(f"{measured.short} items have too few judged answers for {metric} and are excluded")
    return notes


def refuse_unfit(method: str, level: Level) -> None:
    """Raise UsageError for a method that only right and wrong have."""
    if level is not Level.NOMINAL and method in {"majority", "layton", DAWID_SKENE}:
        raise UsageError(f"--method {method} is for fields that are right or wrong", hint="--method mean, or ppi")


def _refuse_mixed(
    method: str, ci: str, *, weighted: bool, macro: str | None, groups: Mapping[str, Sequence[Hashable]] | None
) -> None:
    """Raise UsageError for choices that do not go together."""
    own = method in {*GOLD_METHODS, DAWID_SKENE}
    if own and ci != "auto":
        raise UsageError(f"--method {method} makes its own interval", hint=f"leave out --ci {ci}")
    if own and weighted:
        raise UsageError(f"--method {method} knows no weights", hint="--method mean or majority")
    if macro is not None and method in GOLD_METHODS:
        raise UsageError(
            f"--method {method} corrects the score of all items, not that of groups", hint="leave out --macro"
        )
    if macro is not None and macro not in (groups or {}):
        raise UsageError(f"macro is {macro!r}, which is none of the groups' columns")


def _latent(
    votes: Votes, values: Values, clusters: Labels | None, settings: Settings
) -> tuple[Calibrated, FloatArray, tuple[JudgeQuality, ...]]:
    """Dawid and Skene's score, the values of the judged items, and the judges as the fit sees them."""
    answers = len(votes.items) - votes.wrong
    fit = dawid_skene(
        votes.judges,
        votes.of(values.field)[:, :answers],
        wrong=votes.wrong,
        clusters=clusters,
        level=settings.level,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    scored = np.concatenate([fit.values, np.zeros(votes.wrong)])
    interval, note = (
        fit.interval,
        "Dawid–Skene takes the judges' errors for independent of each other: shared ones stay",
    )
    plain = cluster(scored, judged_labels(clusters, values))
    notes = [note] if fit.converged else [note, f"the fit has not come to rest after {fit.steps} steps"]
    if reason := bootstrap_fails(plain):
        around = wilson(plain, level=settings.level)
        interval = replace(interval, low=min(interval.low, around.low), high=max(interval.high, around.high))
        notes.append(f"the interval is as wide as Wilson's at least, because {reason}")
    return Calibrated(fit.score, interval, 0, tuple(notes)), scored, fit.judges


def _of_parts(column: str, parts: Sequence[GroupScore]) -> Calibrated:
    """The mean of the groups of a column."""
    known = [(part.score, part.interval) for part in parts if part.score is not None and part.interval is not None]
    mean, interval = mean_of_parts([score for score, _ in known], [interval for _, interval in known])
    notes = [f"the score is the mean of {len(known)} values of {column}, each as heavy as the others"]
    if len(known) < len(parts):
        empty = ", ".join(part.group for part in parts if part.score is None)
        notes.append(f"nobody judged an item of {column} {empty}, so it is not in the mean")
    return Calibrated(mean, interval, 0, tuple(notes))


def refuse_other_field(gold: Gold, field: str) -> None:
    """Raise DataError where people labelled another field than the one that is scored."""
    if gold.labelled(field).any():
        return
    others = [str(other) for other in gold.human if gold.labelled(other).any()]
    raise DataError(
        f"no gold label is about {field}: they are about {' and '.join(others)}",
        hint=f"--field-name {others[0]}, or label the rest",
    )


def _refuse_unclear_vendor(votes: Votes, gold: Gold) -> None:
    """Raise UsageError where labels of several vendors' models of this name could be the evaluated model's own."""
    mine = np.flatnonzero(gold.of_model(votes.provider, votes.model)).tolist()
    vendors = sorted({gold.providers[row] for row in mine} - {""})
    if not votes.provider and len(vendors) > 1:
        raise UsageError(
            f"the labels are of {votes.model or 'models'} at {' and '.join(vendors)}; which of them was evaluated?",
            hint=f"name it, for example --provider {vendors[0]}",
        )


def _correction_notes(votes: Votes, values: Values, gold: Gold, method: str, *, grouped: bool) -> list[str]:
    """Notes on labels that were left out, and on what labels do not correct."""
    notes, labelled = [], gold.labelled(values.field)
    if method == "layton":
        own = int((labelled & gold.of_vendor(votes.provider)).sum())
        vendors = ", ".join(sorted(set(gold.providers) - {""})) or "no vendor"
        notes.append(
            f"{own} labels of {votes.provider}'s own models are left out"
            if own
            else f"no label is of a model of {votes.provider}, so none is left out; the labels name {vendors}"
        )
    if grouped:
        notes.append("the groups are means of the votes, which the labels do not correct")
    return notes


def _stranger_notes(votes: Votes, values: Values, gold: Gold) -> list[str]:
    """Labels can tell how a jury errs from other answers to the same items, hardly from other items or from copies."""
    copies = (
        f"{gold.repeated} rows of labels are copies of others, word for word; if each is not an answer of its own, "
    )
    notes = [f"{copies}the labels count too much"] if gold.repeated else []
    items = {item.partition(" #")[0] for item in votes.items}  # samples of an item are named `item #sample`
    rows = np.flatnonzero(gold.labelled(values.field)).tolist()
    if items.isdisjoint(gold.items[row].partition(" #")[0] for row in rows):
        notes.append("none of the labelled answers is to an item of this batch: are they labels for other data?")
    return notes


def _cluster_notes(plain: Interval, method: str) -> list[str]:
    """Labels correct a score as if its items were independent; said where they are not."""
    if plain.n_clusters == plain.n:
        return []
    clusters = f"{plain.n_clusters} clusters"
    return [f"the {method} interval takes {plain.n} answers in {clusters} for independent: it may be too narrow"]


def judged_labels(labels: Labels | Sequence[float] | None, values: Values) -> Sequence[Any] | None:
    """The labels of the judged items alone. Raises DataError unless there is one label per item."""
    if labels is None:
        return None
    if len(labels) != len(values.judged):
        raise DataError(f"{len(labels)} labels for {len(values.judged)} items: there has to be one for each item")
    if values.judged.all() and not isinstance(labels, np.ndarray):
        return labels
    listed = labels.tolist() if isinstance(labels, np.ndarray) else labels
    return [label for label, kept in zip(listed, values.judged.tolist(), strict=True) if kept]


def _by_group(
    scored: FloatArray,
    values: Values,
    labels: Labels,
    units_of: tuple[Labels | None, Sequence[float] | None],
    settings: Settings,
    measured: Measured | None,
    *,
    is_boolean: bool | None,
) -> tuple[GroupScore, ...]:
    """A score per group, in the order of the groups: numbers first, then words, then items without a value.

    units_of: clusters and weights of the items, where they have some. Groups are told apart as clusters are: 1 and "1"
    are one.
    """
    listed = labels.tolist() if isinstance(labels, np.ndarray) else labels
    of_item = [label(each, "groups", index) for index, each in enumerate(listed)]
    sizes, judged = Counter(of_item), judged_labels(of_item, values) or []
    kept = (judged_labels(each, values) for each in units_of)
    units, heavy = (None if each is None else list(each) for each in kept)  # packed ones are slow to look into
    if measured:
        scored, judged = measured.values, _first(judged, measured) or []
        units, heavy = _first(units, measured), _first(heavy, measured)
    members: dict[Hashable, list[int]] = {group: [] for group in sorted(sizes, key=_group_order)}
    for index, group in enumerate(judged):
        members[group].append(index)
    rows = []
    for group, picked in members.items():
        own, weights = ([each[i] for i in picked] if each is not None else None for each in (units, heavy))
        counted = bool(picked) and (weights is None or any(weights))
        score = estimate(scored[picked], own, settings, boolean=is_boolean, weights=weights) if counted else None
        mean, interval = (score.mean, score.interval) if score else (None, None)
        rows.append(GroupScore(_group_name(group), mean, interval, sizes[group], len(picked)))
    return tuple(rows)


def _group_order(group: Hashable) -> tuple[int, float, str]:
    if group is None:
        return 2, 0.0, ""
    try:
        number = float(str(group))
    except ValueError:
        return 1, 0.0, str(group)
    return 0, number, str(group)


def _group_name(group: Hashable) -> str:
    return "(none)" if group is None else str(group)


def _judge_means(votes: Votes, values: Values) -> tuple[JudgeMean, ...]:
    rows = []
    for judge, cast in zip(votes.judges, votes.of(values.field), strict=True):
        valid = cast[cast >= 0]
        mean = float(valid.sum()) / len(valid) if len(valid) else None
        rows.append(JudgeMean(judge, mean, len(valid), int((cast == MISSING).sum())))
    return tuple(rows)


def _labels(votes: Votes, values: Values, gold: Gold | None) -> LabelArray | None:
    """(n_items,) human labels of this model's own items, where there are some."""
    if gold is None:
        return None
    human = own_labels(votes.items, gold, values.field, provider=votes.provider, model=votes.model)
    return as_votes([human.get(item, MISSING) for item in votes.items], votes.level_of(values.field))


def _weights(votes: Votes, values: Values, gold: Gold | None) -> FloatArray | None:
    """(n_items,) how many items each labelled one stands for, where labels were drawn from strata."""
    labels = _labels(votes, values, gold)
    if gold is None or gold.design is None or labels is None:
        return None
    voted = values.judged & ~votes.counts_as_wrong
    known = (labels >= 0) & voted
    if gold.design.drawn.isdisjoint(item for item, own in zip(votes.items, known.tolist(), strict=True) if own):
        return None
    judged = [item for item, own in zip(votes.items, voted.tolist(), strict=True) if own]
    weights = np.zeros(len(votes.items))
    weights[voted] = stratum_weights(known[voted], strata_of(gold.design, judged, values.mean[: len(judged)]))
    return weights


def _elsewhere(votes: Votes, values: Values, gold: Gold | None) -> Trial | None:
    """Votes of these judges on other models' labelled answers; nothing where this model's name is not known."""
    if gold is None or (not votes.model and any(gold.models)):
        return None
    whose = {"provider": votes.provider, "model": votes.model}
    return Trial(votes_elsewhere(gold, votes.judges, values.field, **whose), gold.human[values.field])


def _jury_notes(jury: Agreement, judges: tuple[str, ...], gold: Gold | None) -> list[str]:
    notes = [f"judge {judge} disagrees with the rest of the jury beyond chance" for judge in jury.apart]
    if jury.gold_basis is Basis.OTHERS and gold is not None:
        columns = columns_of(judges, gold.judges).items()
        others = [(judge, name) for judge, name in columns if name not in {judge, judge.partition(":")[2]}]
        alike = ", ".join(f"{name} for {judge}" for judge, name in others)
        notes.append(
            f"judge accuracy comes from {jury.gold_labels} labels of other models' answers"
            + (f"; the labels' judges are taken by their names: {alike}" if alike else "")
        )
    return notes


def _missing_notes(votes: Votes, values: Values, mean: float, *, bounded: bool) -> list[str]:
    notes = []
    if values.votes_missing:
        unread = f", {votes.unparsed} of them unparsed" if votes.unparsed else ""
        are = "vote is" if values.votes_missing == 1 else "votes are"
        notes.append(
            f"{values.votes_missing} {are} missing{unread}"
            + ("; the bounds say what that could change" if bounded else "")
        )
    if votes.unjudgeable:
        are = "is unanswered" if votes.unjudgeable == 1 else "are unanswered"
        share = votes.unjudgeable / (values.n_items - votes.excluded)
        as_wrong = f" (as wrong: {100 * mean * (1 - share):.1f})" if bounded else ""
        notes.append(f"{votes.unjudgeable} of {values.n_items} items {are} and excluded{as_wrong}")
    if votes.wrong:
        count = "counts" if votes.wrong == 1 else "count"
        without = f" (without: {100 * mean * len(values.mean) / values.n_judged:.1f})" if bounded else ""
        notes.append(f"{votes.wrong} of {values.n_items} items without an answer {count} as wrong{without}")
    if votes.excluded:
        are = "is" if votes.excluded == 1 else "are"
        notes.append(f"{votes.excluded} of {values.n_items} items without an answer {are} left out of score and bounds")
    unvoted = len(votes.items) - votes.wrong - values.n_judged
    if unvoted:
        have = "has no valid vote and is" if unvoted == 1 else "have no valid vote and are"
        notes.append(f"{unvoted} of {values.n_items} items {have} excluded")
    return notes
