"""Worth of an unanswered item to a score: a stated choice for each kind of failure, never a silent one."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum

from batchflow.errors import UsageError
from batchflow.steps.judging.ballot import Ballot, Judge
from batchflow.steps.judging.counting.cast import NOT_ASKED
from batchflow.steps.judging.counting.packed import joined

MODELS = ("refused", "unparsed", "cut_off")
"""Failures of the model itself; `cut_off` is a text that its limit or its end of service ended."""

VENDORS = ("error", "expired", "cancelled", "missing", "pending")
"""Failures of the vendor, or of whoever ended the batch."""

GROUPS = {"model": MODELS, "vendor": VENDORS}


class Worth(StrEnum):
    """The worth of an unanswered item."""

    EXCLUDE = "exclude"  # it is in no mean, and in no bound
    WRONG = "wrong"  # it is in the mean, with the lowest value of the field
    BOUNDS = "bounds"  # it is in no mean; the bounds hold it as wrong, and as right


DEFAULT: Mapping[str, Worth] = dict.fromkeys(MODELS, Worth.WRONG) | dict.fromkeys(VENDORS, Worth.BOUNDS)


def worths(words: Iterable[str]) -> dict[str, Worth]:
    """The choice for each kind, from words such as `wrong` (all kinds) or `refused=exclude`; later words win.

    `model` and `vendor` stand for all kinds of theirs. Raises UsageError.

    >>> chosen = worths(["bounds", "refused=wrong"])
    >>> str(chosen["refused"]), str(chosen["error"])
    ('wrong', 'bounds')
    """
    chosen = dict(DEFAULT)
    for word in (part.strip() for text in words for part in text.split(",")):
        kind, equals, worth = word.rpartition("=")
        kinds = GROUPS.get(kind, (kind,)) if equals else tuple(DEFAULT)
        if worth not in list(Worth) or not set(kinds) <= set(DEFAULT):
            raise UsageError(
                f"--unanswered {word}: it takes {', '.join(Worth)}, or KIND= and one of them",
                hint=f"kinds: {', '.join((*GROUPS, *DEFAULT))}; for example --unanswered refused=exclude",
            )
        chosen |= dict.fromkeys(kinds, Worth(worth))
    return chosen


def counted_in(ballot: Ballot, chosen: Mapping[str, Worth]) -> Ballot:
    """The ballot with its unanswered items where the choice puts them: among the items as wrong, or outside."""
    wrong = [each for each in ballot.silent if chosen[each.kind] is Worth.WRONG]
    outside = Counter(each.kind for each in ballot.silent if chosen[each.kind] is not Worth.WRONG)
    excluded = sum(count for kind, count in outside.items() if chosen[kind] is Worth.EXCLUDE)
    items = joined(ballot.items, [each.name for each in wrong])
    return replace(
        ballot,
        items=items,
        clusters=joined(ballot.clusters, [each.cluster for each in wrong]),
        columns=joined(ballot.columns, [each.columns for each in wrong]),
        item_of=items if ballot.owners is None else joined(ballot.item_of, [each.item for each in wrong]),
        places=joined(ballot.places, [each.place for each in wrong]),
        judges=tuple(_longer(judge, len(wrong)) for judge in ballot.judges),
        wrong=len(wrong),
        unjudgeable=outside.total() - excluded,
        excluded=excluded,
        left_out=dict(outside),
    )


def worth_of(ballot: Ballot, chosen: Mapping[str, Worth]) -> dict[str, dict[str, int | str]]:
    """The unanswered items by kind: how many, and what each is worth."""
    kinds = Counter(each.kind for each in ballot.silent)
    return {kind: {"items": kinds[kind], "worth": chosen[kind].value} for kind in DEFAULT if kinds[kind]}


def _longer(judge: Judge, more: int) -> Judge:
    """The judge with further answers that it was not asked about."""
    cast = {name: codes + array(codes.typecode, [NOT_ASKED]) * more for name, codes in judge.cast.items()}
    return replace(judge, cast=cast)
