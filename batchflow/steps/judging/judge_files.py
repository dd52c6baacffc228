"""Judge files that people bring: one verdict a row, any number of files, in any layout that is recognised.

Judges are told apart by the model of their rows, never by the name of a file. Columns of the user's own with plain
values can be named by `--by` and `--cluster`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchflow import files
from batchflow.errors import DataError
from batchflow.judges.base import JudgeKind, Verdict, unparsed
from batchflow.layouts import registry as layouts
from batchflow.layouts.base import Brought, Key
from batchflow.records import Parsed, VoteStatus
from batchflow.steps.base.answer_form import read_verdict
from batchflow.steps.judging.ballot import Ballot, Judge, counted
from batchflow.steps.judging.counting.cast import MISSING, Verdicts
from batchflow.texts import parsing, thoughts

N_JUDGES = 3
_FEW = 3  # ids named in an error


def read_rows(path: Path, whose: str | None = None) -> list[Brought]:
    """The rows of a file or folder; one without a model belongs to the only model that is named there, else to `whose`.

    Raises DataError, with file, line and field.
    """
    rows = list(layouts.of(path).read(path))
    models = sorted({row.model for row in rows if row.model})
    nameless = next((row for row in rows if not row.model), None)
    if not models and whose:
        models = [whose]
    if nameless is not None and len(models) != 1:
        message = f"the file names {', '.join(models)}" if models else "no row of the file has one"
        raise DataError(
            f"{nameless.where}, field model: it is missing, and {message}",
            hint='each row needs the name of who gave it, for example "model": "gpt-5.1"',
        )
    return [row if row.model else replace(row, model=models[0]) for row in rows]


def ballot_of(paths: Sequence[Path], kind: JudgeKind, *, provider: str, model: str, n_judges: int) -> Ballot:
    """The ballot of judge files about one model's answers.

    Raises DataError for a judge that votes twice on an answer, another number of judges, or judges of other items.
    """
    judges = by_judge(paths)
    _check_count(judges, n_judges)
    keys = _check_items(judges)
    many = any(sample for _, sample in keys)
    return Ballot(
        provider,
        model,
        tuple(f"{item} #{sample}" if many else item for item, sample in keys),
        [item for item, _ in keys],
        [_columns(judges, key) for key in keys],
        tuple(_judge(name, rows, keys, kind) for name, rows in judges.items()),
        kind,
        item_of=[item for item, _ in keys],
    )


def _columns(judges: Mapping[str, Mapping[Key, Brought]], key: Key) -> dict[str, Any]:
    """The columns of an answer, from whichever judge's row has them; the first one by name counts, not by file."""
    columns: dict[str, Any] = {}
    for _, rows in sorted(judges.items()):
        columns = {**rows[key].columns, **columns}
    return columns


def by_judge(paths: Sequence[Path]) -> dict[str, dict[Key, Brought]]:
    """The rows of judge files by judge and answer. Raises DataError for a judge that votes twice on an answer."""
    judges: dict[str, dict[Key, Brought]] = {}
    for path in paths:
        for row in read_rows(path):
            standing = judges.setdefault(row.model, {}).setdefault(row.key, row)
            if standing is not row:
                raise _twice(row, standing)
    return judges


def _twice(row: Brought, standing: Brought) -> DataError:
    return DataError(
        f"judge {row.model} votes twice on {row.key[0]}: {standing.where}, and {row.where}",
        hint="name each judge's file once, and the files of one evaluated model at a time; repeated answers to an item "
        "are told apart by a `sample` column",
    )


def _check_count(judges: Mapping[str, Any], n_judges: int) -> None:
    if len(judges) != n_judges:
        raise DataError(
            f"the files hold the votes of {counted(len(judges), 'judge')} ({', '.join(judges)}), "
            f"and {n_judges} are expected",
            hint=f"add the missing judge's file, or take --n-judges {len(judges)} if this is the jury",
        )


def _check_items(judges: Mapping[str, Mapping[Key, Brought]]) -> list[Key]:
    """The answers in the order of the first judge. Raises DataError where another judge's are not the same."""
    wanted = dict.fromkeys(key for rows in judges.values() for key in rows)
    for name, rows in judges.items():
        lacking = [key[0] for key in wanted if key not in rows]
        if lacking:
            named = ", ".join(lacking[:_FEW]) + (", ..." if len(lacking) > _FEW else "")
            raise DataError(
                f"judge {name} has no row for {len(lacking):,} of {len(wanted):,} answers that others judge: {named}",
                hint='bring its missing rows; a vote that cannot be had is a row with "answer": null, and counts as '
                "missing",
            )
    return list(wanted)


def _judge(name: str, rows: Mapping[Key, Brought], keys: Sequence[Key], kind: JudgeKind) -> Judge:
    cast = {field.name: Verdicts(field.scale, MISSING, len(keys)) for field in kind.FIELDS}
    unread, repaired, why = 0, 0, Counter[str]()
    for index, key in enumerate(keys):
        text = rows[key].text
        if text is None:
            continue
        verdict = read_reply(kind, text)
        repaired += verdict.parsed is Parsed.REPAIRED
        if verdict.status is VoteStatus.UNPARSED:
            unread += 1
            why[str(verdict.reason)] += 1
        elif verdict.status is VoteStatus.VALID:
            for field, value in verdict.values.items():
                cast[field].add(index, value)
    codes = {field: verdicts.codes for field, verdicts in cast.items()}
    return Judge(name, codes, unread, repaired, why=dict(why))


def read_reply(kind: JudgeKind, text: str) -> Verdict:
    """Vote in a judge's text as the model wrote it, thoughts included."""
    answer = thoughts.behind(text)
    return (
        unparsed(parsing.Unread.THOUGHT.value) if answer is None else read_verdict(kind, _with_booleans(kind, answer))
    )


def _with_booleans(kind: JudgeKind, text: str) -> str:
    """The text with 1 and 0 as true and false where it is a JSON object that names each such field once."""
    try:
        value = files.loads(text)
    except ValueError:
        return text
    if not isinstance(value, dict):
        return text
    flags = {
        each.name: bool(value[each.name])
        for each in kind.FIELDS
        if each.scale.binary
        and isinstance(value.get(each.name), int)
        and value[each.name] in {0, 1}
        and text.count(f'"{each.name}"') == 1
    }
    return files.dumps(value | flags).decode() if flags else text


def name_of(paths: Sequence[Path]) -> str:
    """A name for the jury of some files: what their names begin with, for the card alone."""
    stems = [path.stem for path in paths]
    common = stems[0]
    while not all(stem.startswith(common) for stem in stems):
        common = common[:-1]
    return common.rstrip("_-. ").removesuffix("_by") or stems[0]
