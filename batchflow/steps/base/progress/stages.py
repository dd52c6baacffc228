"""Stages of a batch that is sent piece by piece: what was planned, what is made, and why it ended.

The specification holds the plan, which decides what is asked; the options hold how far it is. A stage that is not made
yet has neither file nor row, so that the batch is whole at all times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from batchflow.ledger.models import SEQ_BITS
from batchflow.ledger.records import BatchRecord

STAGES = "stages"
"""The key of the specification that holds the plan, and of the options that holds the progress."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of a batch.

    planned: items after each stage, the last one being all. ends: requests after each stage that is made.
    seed, cluster: of the random order. largest: requests of its largest cluster. units: items or clusters after each
    planned stage, where a run stops by the data set's own score, else None. rule: the rule by which a look ended
    it, with reason `precise` or `decided`; both are None while it goes on, and where all items were asked.
    """

    planned: tuple[int, ...]
    ends: tuple[int, ...]
    seed: int
    cluster: str | None
    largest: int
    rule: str | None = None
    reason: str | None = None
    units: tuple[int, ...] | None = None

    @classmethod
    def of(cls, batch: BatchRecord) -> Self | None:
        """The stages of a batch; None for one that is sent as a whole."""
        plan = batch.spec.get(STAGES)
        if plan is None or batch.retries_id is not None:
            return None
        progress = batch.options.get(STAGES) or {"ends": [batch.n_requests]}
        return cls(
            planned=tuple(plan["ends"]), ends=tuple(progress["ends"]), seed=plan["seed"], cluster=plan["cluster"],
            largest=plan["largest"] * int(batch.spec.get("samples") or 1),
            rule=progress.get("rule"), reason=progress.get("reason"),
            units=tuple(plan["units"]) if "units" in plan else None,
        )  # fmt: skip

    @property
    def made(self) -> int:
        """Number of stages that are made."""
        return len(self.ends)

    @property
    def is_last(self) -> bool:
        """Tells whether all items are asked."""
        return self.made == len(self.planned)

    @property
    def items(self) -> int:
        """Items of the stages that are made."""
        return self.planned[self.made - 1]

    @property
    def requests(self) -> int:
        """Requests of all planned stages: those that are made have as many for an item as all."""
        return self.planned[-1] * self.ends[-1] // self.items

    @property
    def text(self) -> str:
        """One line for a card."""
        why = {None: "", "precise": "; stopped: precise enough", "decided": "; stopped: decided"}[self.reason]
        end = "; all items are asked" if self.is_last and not why else why
        return f"{self.made} of {len(self.planned)}: {self.items:,} of {self.planned[-1]:,} items{end}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "made": self.made, "of": len(self.planned), "items": self.items, "planned": self.planned[-1],
            "seed": self.seed, "cluster": self.cluster, "reason": self.reason,
        }  # fmt: skip

    def progress(
        self, *, ends: tuple[int, ...] | None = None, rule: str | None = None, reason: str | None = None
    ) -> Any:
        """The progress as the options hold it."""
        return {"ends": list(ends or self.ends), "rule": rule, "reason": reason}


def place_of(request_id: int) -> int:
    """Place of a request in its batch."""
    return request_id & ((1 << SEQ_BITS) - 1)
