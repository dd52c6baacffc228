"""Statistics as a library: arrays in, frozen results out, no ledger needed.

Names are loaded when they are first used, so that `import batchflow.score` takes neither numpy nor scipy along.

>>> from batchflow.score import estimate
>>> found = estimate([1, 1, 0, 1, 0] * 20)
>>> f"{found.mean:.2f} [{found.interval.low:.2f}, {found.interval.high:.2f}]"
'0.60 [0.50, 0.69]'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchflow.score.agreement import Agreement, agree, alpha
    from batchflow.score.base.clusters import clustered_se
    from batchflow.score.base.significance import holm, mcnemar
    from batchflow.score.bias import Bias, JudgedAnswers, judge_biases, position_bias
    from batchflow.score.intervals import Estimate, Interval, Settings, estimate
    from batchflow.score.labelled.calibration import Calibrated, ppi, rogan_gladen
    from batchflow.score.labelled.gold import Gold, read_gold
    from batchflow.score.labelled.labelled_pair import CorrectedDifference, corrected_difference
    from batchflow.score.labelled.layton import layton
    from batchflow.score.latent.difference import Fitted, compare_fitted, fitted
    from batchflow.score.latent.fit import DawidSkene, dawid_skene
    from batchflow.score.paired import (
        Comparison,
        Comparisons,
        Scored,
        compare,
        compare_all,
        detectable_difference,
        sample_size,
        scored,
    )
    from batchflow.score.pairwise.orders import PairVerdict, settle
    from batchflow.score.pairwise.ranking import Ranking, Verdicts, bradley_terry, elo, position, rank, verdicts
    from batchflow.score.pairwise.ratings import Rated, rate
    from batchflow.score.parts import mean_of_parts
    from batchflow.score.passk import pass_at_k
    from batchflow.score.planning.components import Components, components
    from batchflow.score.planning.designs import allocated, for_difference, for_labels, for_precision
    from batchflow.score.reported import ReportedDifference, reported_difference
    from batchflow.score.riddle import Field, votes_from, votes_on
    from batchflow.score.sequential import Look, Stop, differences, sequence, stop
    from batchflow.score.summary import Summary, summarise
    from batchflow.score.values import Values, Votes, item_values

_HOMES = {
    "agreement": ("Agreement", "alpha", "agree"),
    "bias": ("Bias", "JudgedAnswers", "judge_biases", "position_bias"),
    "latent.difference": ("Fitted", "compare_fitted", "fitted"),
    "latent.fit": ("DawidSkene", "dawid_skene"),
    "pairwise.orders": ("PairVerdict", "settle"),
    "pairwise.ratings": ("Rated", "rate"),
    "parts": ("mean_of_parts",),
    "reported": ("ReportedDifference", "reported_difference"),
    "labelled.calibration": ("Calibrated", "ppi", "rogan_gladen"),
    "base.clusters": ("clustered_se",),
    "labelled.gold": ("Gold", "read_gold"),
    "intervals": ("Estimate", "Interval", "Settings", "estimate"),
    "labelled.layton": ("layton",),
    "labelled.labelled_pair": ("CorrectedDifference", "corrected_difference"),
    "paired": (
        "Comparison",
        "Comparisons",
        "Scored",
        "compare",
        "compare_all",
        "detectable_difference",
        "sample_size",
        "scored",
    ),
    "passk": ("pass_at_k",),
    "planning.components": ("Components", "components"),
    "planning.designs": ("allocated", "for_difference", "for_labels", "for_precision"),
    "pairwise.ranking": ("Ranking", "Verdicts", "bradley_terry", "elo", "position", "rank", "verdicts"),
    "sequential": ("Look", "Stop", "differences", "sequence", "stop"),
    "base.significance": ("holm", "mcnemar"),
    "summary": ("Summary", "summarise"),
    "riddle": ("Field", "votes_from", "votes_on"),
    "values": ("Values", "Votes", "item_values"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = (
    "Agreement",
    "Bias",
    "Calibrated",
    "Comparison",
    "Comparisons",
    "Components",
    "CorrectedDifference",
    "DawidSkene",
    "Estimate",
    "Field",
    "Fitted",
    "Gold",
    "Interval",
    "JudgedAnswers",
    "Look",
    "PairVerdict",
    "Ranking",
    "Rated",
    "ReportedDifference",
    "Scored",
    "Settings",
    "Stop",
    "Summary",
    "Values",
    "Verdicts",
    "Votes",
    "agree",
    "allocated",
    "alpha",
    "bradley_terry",
    "clustered_se",
    "compare",
    "compare_all",
    "compare_fitted",
    "components",
    "corrected_difference",
    "dawid_skene",
    "detectable_difference",
    "differences",
    "elo",
    "estimate",
    "fitted",
    "for_difference",
    "for_labels",
    "for_precision",
    "holm",
    "item_values",
    "judge_biases",
    "layton",
    "mcnemar",
    "mean_of_parts",
    "pass_at_k",
    "position",
    "position_bias",
    "ppi",
    "rank",
    "rate",
    "read_gold",
    "reported_difference",
    "rogan_gladen",
    "sample_size",
    "scored",
    "sequence",
    "settle",
    "stop",
    "summarise",
    "verdicts",
    "votes_from",
    "votes_on",
)


def __getattr__(name: str) -> object:
    """Load the module that holds `name`, once."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted(__all__)
