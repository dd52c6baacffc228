"""Human labels of one model's own answers, by item."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from batchflow.errors import DataError
from batchflow.score.labelled.gold import Gold, LabelArray


def own_labels(items: Sequence[str], gold: Gold, field: str, *, provider: str, model: str) -> dict[str, float]:
    """Human labels of this model's own items. Raises DataError for an item with two labels that disagree."""
    mine = gold.labelled(field) & gold.of_model(provider, model)
    wanted, by_item, first = set(items), dict[str, float](), dict[str, int]()
    labels: LabelArray = gold.human[field]
    for index in np.flatnonzero(mine).tolist():
        item, label = gold.items[index], float(labels[index])
        if item in wanted and by_item.setdefault(item, label) != label:
            raise DataError(
                f"item {item!r} has two gold labels on {field} that disagree: {gold.places[first[item]]}, and "
                f"{gold.places[index]}",
                hint="settle it in the file",
            )
        first.setdefault(item, index)
    return by_item
