"""Task `sums`: plain questions that are scored by the worst answer to each."""

from __future__ import annotations

from batchflow.tasks import qa

NAME = "sums"
FIELDS, SPLITS, MAX_HINTS, ANSWER, JUDGED_BY = qa.FIELDS, qa.SPLITS, qa.MAX_HINTS, qa.ANSWER, qa.JUDGED_BY
EXTRACT = ("last_word",)
METRIC = "worst"
JUDGE_FACTS, BY, CLUSTER = qa.JUDGE_FACTS, qa.BY, qa.CLUSTER

source, items, template, prompt = qa.source, qa.items, qa.template, qa.prompt
hints_available, hint_places, columns, reference = qa.hints_available, qa.hint_places, qa.columns, qa.reference
