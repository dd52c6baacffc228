"""The score of a jury: the numbers, with what the votes went through before they were counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from batchflow.judges.base import Scale
from batchflow.judges.systems.mixeval import HALF, HALVES

if TYPE_CHECKING:
    from batchflow.score.planning.designs import Lever
    from batchflow.score.summary import Summary
    from batchflow.steps.judging.anytime import Anytime


@dataclass(frozen=True, slots=True)
class JuryScore:
    """numbers: of the votes. complete: no vote is missing, and every judge has finished.

    unparsed_reasons: votes that could not be read, by reason. repaired: votes that could be read after a repair only.
    abstained: votes of rules that do not apply, by judge. settled: answers that the cascade's rule judged alone.
    extract: the extractors between text and answer; None for judge files, of whose answers nothing is known.
    anytime: the bounds at every look, for a batch that is sent in stages. levers: what would narrow the interval for
    its money, the best first; empty where the votes cannot tell.
    """

    numbers: Summary
    judge_kind: str
    scale: Scale
    unparsed_reasons: Mapping[str, int]
    complete: bool
    repaired: int
    abstained: Mapping[str, int]
    cascade: str | None
    settled: int
    settled_share: float
    footnotes: tuple[str, ...]
    extract: tuple[str, ...] | None = None
    anytime: Anytime | None = None
    levers: tuple[Lever, ...] = ()

    @property
    def plus_minus(self) -> dict[str, float]:
        """The dictionary of layton-eval's script, in points: ± reaches the bound that is further off, rounded up."""
        interval, score = self.numbers.interval, self.numbers.score
        furthest = max(score - interval.low, interval.high - score)
        half = math.ceil(round(1000 * furthest, 6)) / 10
        return {"score": round(100 * score, 1), f"{100 * interval.level:.12g}% CI (±)": half}

    @property
    def legacy_overall(self) -> float | None:
        """MixEval's overall score of before September 2024; None unless both its halves are scored apart.

        The plain mean of the two halves, each rounded to three decimals, however many rows they have.
        """
        halves = {row.group: row.score for row in self.numbers.groups.get(HALF, ())}
        scores = [halves.get(name) for name in HALVES]
        return sum(round(score, 3) for score in scores if score is not None) / 2 if None not in scores else None

    def to_json(self) -> dict[str, Any]:
        """Plain values; the numbers' own stand beside the jury's."""
        scale = self.scale
        return {
            **self.numbers.to_json(),
            "judge_kind": self.judge_kind,
            "scale": {"name": scale.name, "low": scale.low, "high": scale.high, "level": scale.level.value},
            "unparsed_reasons": dict(self.unparsed_reasons),
            "complete": self.complete,
            "repaired": self.repaired,
            "abstained": dict(self.abstained),
            "cascade": self.cascade,
            "settled": self.settled,
            "settled_share": self.settled_share,
            "footnotes": list(self.footnotes),
            **({} if self.extract is None else {"extract": list(self.extract)}),
            "levers": [asdict(lever) for lever in self.levers],
            **({} if self.legacy_overall is None else {"legacy_overall": self.legacy_overall}),
            **({} if self.anytime is None else {"anytime": self.anytime.to_json()}),
        }
