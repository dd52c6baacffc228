"""The rules by name: judges without a model. mypy checks each against the protocol at the line that names it.

A package of somebody else's adds one with an entry point of the group `batchflow.verifiers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from batchflow.judges.base import Known, Verifier
from batchflow.judges.benchmarks.answer_line import answer_line
from batchflow.judges.benchmarks.instructions import Instructions
from batchflow.judges.deterministic import choice, exact, normalised, numeric
from batchflow.judges.systems import mixeval_rule
from batchflow.registries import Registry

Compare = Callable[[str, str], bool | None]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A rule that compares an answer with each reference: right by one of them, wrong by all.

    It abstains where there is no reference, and where it does not apply to one that could have been met.
    """

    NAME: str
    compare: Compare
    PROVES_WRONG: bool = False
    COLUMNS: bool = False

    def verify(self, answer: str, known: Known) -> bool | None:
        """Right, wrong, or None where it abstains."""
        if len(known.references) == 1:
            return self.compare(answer, known.references[0])
        results = [self.compare(answer, reference) for reference in known.references]
        if True in results:
            return True
        return None if None in results or not results else False


VERIFIERS: dict[str, Verifier] = {
    "exact": Comparison("exact", exact),
    "normalised": Comparison("normalised", normalised),
    "numeric": Comparison("numeric", numeric, PROVES_WRONG=True),  # both texts were read to the end;
    "answer_line": Comparison("answer_line", answer_line),
    "ifeval": Instructions(),
    "choice": Comparison("choice", choice, PROVES_WRONG=True),  # other words may mean the same
    "mixeval": mixeval_rule.RULE,
}
"""Rules by the name that `--judges rule:NAME` and `--cascade NAME` take."""

REGISTRY = Registry("batchflow.verifiers", "rule", VERIFIERS, Verifier, "rules")
names, get = REGISTRY.names, REGISTRY.get


def settled(rule: str, answer: str, *references: str, columns: Mapping[str, Any] | None = None) -> bool | None:
    """Returns what a rule can prove about an answer; None where a judge has to be asked.

    A match is right. A difference is wrong only by rules for which it is a proof: words that differ may still mean the
    same. Raises UsageError for an unknown rule.
    """
    verifier = get(rule)
    try:
        verdict = verifier.verify(answer, Known(references, columns or {}))
        is_certain = verdict is not None and verdict in {0, 1}
    except Exception:  # noqa: BLE001 - somebody else's module: a judge is asked instead
        return None
    if not is_certain:
        return None
    return True if verdict else (False if verifier.PROVES_WRONG else None)
