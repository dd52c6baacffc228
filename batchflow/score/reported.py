"""The difference of two scores of which a paper gives means and standard errors alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from batchflow.errors import ArgumentError
from batchflow.score.base import quantiles
from batchflow.score.base.arguments import positive
from batchflow.score.base.significance import normal_p
from batchflow.score.intervals import LEVEL


@dataclass(frozen=True, slots=True)
class ReportedDifference:
    """Mean a minus mean b, with the error of a paired difference. low, high, p: normal."""

    difference: float
    standard_error: float
    low: float
    high: float
    p: float


def reported_difference(
    mean_a: float, error_a: float, mean_b: float, error_b: float, *, correlation: float = 0.0, level: float = LEVEL
) -> ReportedDifference:
    """The difference from two means, their standard errors, and the correlation of the models' values on one item.

    √(a² + b² - 2 ρ a b) is the error of the paired difference (Miller 2024, section 4.2); 0 as the correlation is that
    of models that answered different items, and on the same items usually an overestimate. `compare --json` has the
    correlation of one's own batches. Raises ArgumentError for a negative error or a correlation outside of -1 to 1.

    >>> found = reported_difference(0.72, 0.02, 0.66, 0.02, correlation=0.5)
    >>> f"{found.standard_error:.3f} [{found.low:.3f}, {found.high:.3f}] p {found.p:.3f}"
    '0.020 [0.021, 0.099] p 0.003'
    """
    positive("error_a", error_a, zero=True)
    positive("error_b", error_b, zero=True)
    if not -1 <= correlation <= 1:
        raise ArgumentError(f"correlation is {correlation:g}, it has to lie between -1 and 1")
    for name, mean in (("mean_a", mean_a), ("mean_b", mean_b)):
        if not math.isfinite(mean):
            raise ArgumentError(f"{name} is {mean:g}, and a number is needed")
    error = math.sqrt(max(error_a**2 + error_b**2 - 2 * correlation * error_a * error_b, 0.0))
    difference, half = mean_a - mean_b, quantiles.normal(level) * error
    p = normal_p(difference / error) if error else float(difference == 0)
    return ReportedDifference(difference, error, difference - half, difference + half, p)
