"""The price set through our own arithmetic, against its own."""

from __future__ import annotations

import random
import tomllib
from datetime import UTC, date, datetime

import pytest
from genai_prices import Usage, calc_price

from batchflow.prices import catalogue
from batchflow.prices.rates import BAND, Band, band_of
from batchflow.settings import MODELS_FILE, VENDORS

DAY = date(2026, 11, 28)


def models():
    """Default models and judges of every vendor, and a few that have what others have not."""
    table = tomllib.loads(MODELS_FILE.read_text())
    named = {(vendor, table["default"][vendor]) for vendor in VENDORS}
    named |= {(row["provider"], row["model"]) for row in table["panel"]}
    named |= {("openai", "gpt-4o-mini"), ("anthropic", "claude-opus-5-5"), ("gemini", "gemini-3.1-pro-preview")}
    return sorted(named)


@pytest.mark.parametrize(("vendor", "model"), models())
def test_a_bill_is_that_of_the_price_set(vendor, model):
    entry = catalogue.look_up(vendor, model)
    if entry is None:
        assert model == "gemini-4-carbon"  # the one that is in no set; it fails here once it is
        return
    era, draw = entry.on(DAY), random.Random(model)
    when = datetime(2026, 11, 28, 12, tzinfo=UTC)
    for rate, context in ((era.full, None), (era.batch, {"processing": "batch"})):
        if rate is None:
            assert vendor == "together"
            continue
        for _ in range(20):
            read = draw.choice((900, 150_000, 250_000, 400_000)) + draw.randrange(1_000)
            cached, written, said = read // 3, read // 5, draw.randrange(9_000)
            parts = {"input_tokens": read, "output_tokens": said, "cache_read_tokens": cached}
            if vendor == "anthropic":
                parts["cache_write_tokens"] = written
            else:
                written = 0
            theirs = calc_price(
                Usage(**parts), model, provider_id=catalogue.NAMES.get(vendor, vendor),
                genai_request_timestamp=when, price_context=context,
            )  # fmt: skip
            ours = rate.cost([Band(band_of(read), 1, read, cached, written, 0, said)])
            assert ours == pytest.approx(float(theirs.total_price), rel=1e-9)


def test_prices_change_at_multiples_of_a_band_only():
    from genai_prices.data import providers

    names = {catalogue.NAMES.get(vendor, vendor) for vendor in VENDORS}
    priced = (model for one in providers if one.id in names for model in one.models)
    prices = [
        price
        for model in priced
        for price in (model.prices if isinstance(model.prices, list) else [model])
        for price in vars(price.prices).values()
    ]
    starts = {tier.start for price in prices for tier in getattr(price, "tiers", ())}
    assert starts
    assert all(start % BAND == 0 for start in starts)


def test_batch_prices_begin_on_a_day_and_only_processing_selects_them():
    entry = catalogue.look_up("anthropic", "claude-haiku-5-5")
    assert entry.batch_since == "2026-10-14"
    assert entry.on(date(2026, 9, 1)).batch is None
    assert entry.on(DAY).full == entry.on(DAY).batch.scaled(2.0)


def test_what_was_looked_up_is_kept_beside_the_engines_and_a_broken_file_is_as_good_as_none(tmp_path, monkeypatch):
    folder = tmp_path / "prices"
    first = catalogue.look_up("openai", "gpt-6-luna", folder)
    assert catalogue.look_up("openai", "no-such-model", folder) is None
    (path,) = folder.iterdir()
    assert path.name == "genai-prices-" + catalogue.version().split()[1] + ".json"
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "_raw", lambda *_: pytest.fail("looked up again"))
        assert catalogue.look_up("openai", "gpt-6-luna", folder) == first
        assert catalogue.look_up("openai", "no-such-model", folder) is None
    for garbage in (b"", b"{", b"[]", b'{"format": 99, "models": {}}'):
        path.write_bytes(garbage)
        assert catalogue.look_up("openai", "gpt-6-luna", folder) == first
    (tmp_path / "file").write_text("")
    assert catalogue.look_up("openai", "gpt-4o-mini", tmp_path / "file") is not None  # no folder can be there


def test_another_vendors_price_for_a_model_is_not_taken():
    assert catalogue.look_up("openai", "claude-haiku-5-5") is None
