"""Metric `worst`: the lowest value of an item's answers."""

from __future__ import annotations

from batchflow.score.metrics import Measure

NAME = "worst"


def bind(argument: str) -> Measure:
    return Measure(NAME, lambda values: float(values.min()))
