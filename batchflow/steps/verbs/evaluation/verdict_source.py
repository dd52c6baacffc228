"""The pairwise verdicts that `rank` takes: those of a file, and those of judged batches on the same items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.judges.base import PREFERENCE, scale_of
from batchflow.steps.base.context import Context
from batchflow.steps.judging import ballot as votes
from batchflow.steps.judging import unanswered
from batchflow.steps.judging.ballot import Ballot, counted
from batchflow.steps.judging.counting.cast import MISSING
from batchflow.steps.judging.jury_lookup import judged, jury_of
from batchflow.steps.verbs.evaluation.compare import common_field, refuse_other_questions

if TYPE_CHECKING:
    from batchflow.score.pairwise.orders import PairVerdict

REFERENCE = "reference"
"""The opponent of answers that a judge of kind `preference` held against the reference."""


@dataclass(frozen=True, slots=True)
class Source:
    """Verdicts and what is to be said of where they come from. missing: unanswered items by batch that could be won by
    either side.
    """

    rows: Sequence[PairVerdict]
    next: str
    notes: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    rehearsal: bool = False
    missing: Mapping[str, int] = field(default_factory=dict)


_WINNERS = {
    "left": "left", "right": "right", "tie": "tie", "model_a": "left", "model_b": "right", "tie (bothbad)": "tie",
}  # fmt: skip
_SIDES = (("left", "right"), ("model_a", "model_b"))
_PROMPTS = ("prompt", "custom_id", "question_id")


def of_files(paths: Sequence[Path]) -> Source:
    """The verdicts of files {left, right, winner, prompt, judge}; a row without a prompt stands alone.

    Raises DataError with file, line and field.
    """
    from batchflow.score.pairwise.orders import PairVerdict

    rows = []
    for path in paths:
        for line, row in files.objects(path):
            where = f"{path}, line {line}"
            names = next((sides for sides in _SIDES if sides[0] in row), _SIDES[0])
            left, right = (_name(row, name, where) for name in names)
            if left == right:
                raise DataError(f"{where}: {left!r} stands against itself")
            winner = row.get("winner")
            if winner is not None and winner not in _WINNERS:
                raise DataError(
                    f"{where}, field winner: {winner!r:.60} is not left, right, tie or null",
                    hint="null is a verdict that could not be read: it is counted, and nobody's win",
                )
            prompt = next((row[name] for name in _PROMPTS if isinstance(row.get(name), str | int)), f"{path} {line}")
            judge = row.get("judge")
            word = None if winner is None else _WINNERS[winner]
            rows.append(PairVerdict(left, right, word, prompt, judge if isinstance(judge, str) else ""))
    return Source(rows, "batchflow rank --help")


def _name(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if isinstance(value, str) and value:
        return value
    raise DataError(f"{where}, field {name}: {value!r:.60} is not a model's name")


def of_batches(
    context: Context,
    names: Sequence[str],
    field_name: str | None,
    worth_words: Sequence[str],
    refresh_after_s: float,
) -> Source:
    """The verdicts of judged batches on a field, else on the one they have in common. worth_words: `--unanswered`."""
    worths = unanswered.worths(worth_words)
    parents = judged(context, names)
    refuse_other_questions(parents)
    late: list[str] = []
    ballots: dict[str, Ballot] = {}
    rehearsal = any(parent.rehearsal for parent in parents)
    for parent in parents:
        judges, open_ones = jury_of(context, parent, refresh_after_s, field_name)
        late += open_ones
        rehearsal = rehearsal or any(judge.rehearsal for judge in judges)
        ballots[parent.name] = unanswered.counted_in(votes.of_batch(context, parent, judges), worths)
    chosen = field_name or common_field(ballots)
    preferred = [scale_of(ballot.kind, chosen).name == PREFERENCE.name for ballot in ballots.values()]
    if all(preferred):
        rows = [row for name, ballot in ballots.items() for row in _against_reference(name, ballot, chosen)]
        notes = ("the answers stand left of the reference in every pair (judge kind preference)",)
    elif len(parents) < 2:
        raise UsageError("rank needs two judged batches", hint="batchflow rank A B; batchflow list shows them")
    else:
        rows, notes = _between(ballots, chosen), (f"a batch wins an item on which its votes on {chosen} are higher",)
    return Source(
        rows, f"batchflow score {' '.join(ballots)}", (*notes, *_silent_notes(ballots, worths)), tuple(late), rehearsal,
        {name: ballot.unjudgeable for name, ballot in ballots.items()},
    )  # fmt: skip


def _silent_notes(ballots: Mapping[str, Ballot], worths: Mapping[str, unanswered.Worth]) -> list[str]:
    """Notes on the unanswered items of each batch by kind, with what each is worth."""
    meant = {
        "wrong": "as wrong, which wins no pair",
        "bounds": "in no pair, but in the bounds",
        "exclude": "in no pair",
    }
    return [
        f"{name}: {counted(int(each['items']), 'item')} unanswered ({kind}), {meant[str(each['worth'])]}"
        for name, ballot in ballots.items()
        for kind, each in unanswered.worth_of(ballot, worths).items()
    ]


def _against_reference(name: str, ballot: Ballot, chosen: str) -> list[PairVerdict]:
    """Each judge's verdicts on the answers of a batch against the references."""
    from batchflow.score.pairwise.orders import PairVerdict

    words = {1.0: "left", 0.5: "tie", 0.0: "right", float(MISSING): None}
    items = ballot.item_of or ballot.items
    rows = [
        PairVerdict(name, REFERENCE, words[float(code)], item, judge.name)
        for judge in ballot.judges
        for item, code in zip(items, judge.cast[chosen], strict=True)
        if float(code) in words
    ]
    lost = items[ballot.answered :]
    return rows + [PairVerdict(name, REFERENCE, "right", item, judge.name) for judge in ballot.judges for item in lost]


def _between(ballots: Mapping[str, Ballot], chosen: str) -> list[PairVerdict]:
    """Verdicts on all pairs of batches and their common items, by the mean vote."""
    from batchflow.score.paired import scored
    from batchflow.score.pairwise.orders import PairVerdict

    values = {}
    for name, ballot in ballots.items():
        votes.refuse_half_judged(name, ballot, chosen)
        model = scored(name, ballot.votes(), field=chosen, item_of=ballot.item_of or None)
        values[name] = dict(zip(model.items, model.values.tolist(), strict=True))
    rows = []
    for a, b in combinations(values, 2):
        for item in values[a].keys() & values[b].keys():
            apart = values[a][item] - values[b][item]
            winner = "tie" if abs(apart) < 1e-9 else "left" if apart > 0 else "right"
            rows.append(PairVerdict(a, b, winner, item))
    return sorted(rows, key=lambda row: (row.left, row.right, str(row.prompt)))
