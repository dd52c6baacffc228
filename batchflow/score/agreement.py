"""How far the judges of a jury agree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from batchflow.score.values import RIGHT, WRONG, VoteArray

CountArray = npt.NDArray[np.int64]


def alpha(votes: VoteArray) -> float | None:
    """Krippendorff's α (nominal, right/wrong) of (n_judges, n_items) votes; missing ones do not enter.

    None where no item has two votes, or where all votes that can be paired are equal, so that nothing varies
    and agreement beyond chance has no meaning. Krippendorff 2011, Computing Krippendorff's Alpha-Reliability.

    >>> import numpy as np
    >>> round(alpha(np.array([[1, 1, 0, 0], [1, 1, 0, 1]], dtype=np.int8)), 3)
    0.533
    """
    wrong, right = (votes == WRONG).sum(axis=0), (votes == RIGHT).sum(axis=0)
    return nominal_alpha(np.column_stack([wrong, right]))


def nominal_alpha(counts: CountArray) -> float | None:
    """counts: (n_units, n_categories), votes per unit and category. α = 1 - observed / expected disagreement."""
    sizes = counts.sum(axis=1)
    paired = counts[sizes >= 2]
    totals = paired.sum(axis=0)
    n = int(totals.sum())
    expected = float(n**2 - (totals**2).sum()) / (n - 1) if n > 1 else 0.0
    if expected == 0:
        return None
    m = paired.sum(axis=1)
    observed = float(((m**2 - (paired**2).sum(axis=1)) / (m - 1)).sum())
    return 1 - observed / expected


def unanimous(votes: VoteArray) -> float | None:
    """Share of the items with at least two votes on which all votes are the same; None without such items."""
    wrong, right = (votes == WRONG).sum(axis=0), (votes == RIGHT).sum(axis=0)
    several = wrong + right >= 2
    return float(((wrong == 0) | (right == 0))[several].mean()) if several.any() else None
