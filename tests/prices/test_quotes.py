from __future__ import annotations

from datetime import date

import pytest

from batchflow.errors import UsageError
from batchflow.prices import quotes
from batchflow.prices.rates import Band, Step

DAY = date(2026, 11, 28)
ROW = [Band(0, 1, 1_000, output=1_000)]


def cost(provider, model, on=DAY, own=None):
    told = quotes.quote(provider, model, on, own=own or {})
    ends = tuple(None if rate is None else round(rate.cost(ROW) * 1e6, 3) for rate in (told.low, told.high))
    return told, ends


def test_a_known_batch_price_is_one_number():
    told, ends = cost("anthropic", "claude-haiku-5-5")
    assert told.is_known
    assert ends == (300.0, 300.0)
    assert told.source.startswith("genai-prices 0.")
    assert "since 2026-10-14" in told.source


def test_a_batch_from_before_the_first_known_batch_price_has_a_range():
    told, ends = cost("anthropic", "claude-haiku-5-5", date(2026, 9, 1))
    assert ends == (300.0, 600.0)
    assert "from 2026-10-14 on, and this batch is of 2026-09-01" in told.why


def test_a_model_without_a_batch_price_is_never_billed_in_full_in_silence():
    told, ends = cost("gemini", "gemini-3.5-flash")
    assert ends == (5_250.0, 10_500.0)
    assert "no batch price for gemini-3.5-flash" in told.why


def test_a_model_that_no_set_knows_has_no_price_and_not_the_price_nought():
    told, ends = cost("gemini", "gemini-4-carbon")
    assert ends == (None, None)
    assert "does not know gemini-4-carbon" in told.why


def test_together_bills_in_full_and_says_so():
    told, ends = cost("together", "openai/gpt-oss-120b")
    assert ends == (750.0, 750.0)
    assert told.notes == ("Together's batches cost the full price",)


def test_a_price_that_rises_tomorrow_is_known_today():
    today = quotes.quote("gemini", "gemini-4-argon", date(2026, 11, 30), own={})
    tomorrow = quotes.quote("gemini", "gemini-4-argon", date(2026, 12, 1), own={})
    assert tomorrow.low.cost(ROW) == pytest.approx(2 * today.low.cost(ROW))
    assert today.until(tomorrow).high == tomorrow.high


OWN = {
    "Gemini": {
        "gemini-4*": {"input": 9.0, "output": 9.0},
        "gemini-4-carbon": {
            "input": 1.0, "output": 5.0, "cached": 0.05, "tiers": [{"above": 200_000, "input": 2.0}],
            "checked_on": "2026-11-27",
        },
    },
    "together": {"openai/*": {"batch_share": 0.5}},
}  # fmt: skip


def test_the_users_own_table_comes_first():
    told, ends = cost("gemini", "gemini-4-carbon", own=OWN)
    assert ends == (6_000.0, 6_000.0)
    assert told.source == "[prices] of batchflow.toml"
    assert told.low.steps == (Step(0, 1.0, 0.05, 1.0, 1.0, 5.0), Step(200_000, 2.0, 0.05, 2.0, 2.0, 5.0))
    assert cost("gemini", "gemini-4-neon", own=OWN)[1] == (18_000.0, 18_000.0)
    assert cost("together", "openai/gpt-oss-120b", own=OWN)[1] == (375.0, 375.0)
    assert cost("openai", "gpt-6-luna", own=OWN)[0].source.startswith("genai-prices")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (5, "has to be a table"),
        ({"input": 1}, "input and output are both needed"),
        ({"input": 1, "output": "2"}, "output has to be a number >= 0"),
        ({"input": True, "output": 2}, "input has to be a number >= 0"),
        ({"input": 1, "output": -2}, "output has to be a number >= 0"),
        ({"input": 1, "output": 2, "ouput": 2}, "unknown key 'ouput'"),
        ({"batch_share": 0.5, "input": 1}, "batch_share stands alone"),
        ({"input": 1, "output": 2, "tiers": [{"above": 1_500}]}, "multiple of 1,000"),
        ({"input": 1, "output": 2, "tiers": {}}, "tiers has to be a list"),
        ({"input": 1, "output": 2, "tiers": [{"above": 2_000, "to": 1}]}, "no key 'to'"),
    ],
)
def test_a_broken_table_is_refused_with_its_place(row, words):
    with pytest.raises(UsageError, match=words) as refused:
        quotes.quote("openai", "m", DAY, own={"openai": {"m": row}})
    assert "[prices.openai.'m']" in str(refused.value)
