from __future__ import annotations

import pytest

from batchflow.errors import UsageError
from batchflow.settings import ACCESS, Secret, Settings, load


@pytest.fixture
def made(tmp_path):
    """Settings of a folder with this batchflow.toml and environment."""

    def make(toml="", **environment):
        (tmp_path / "batchflow.toml").write_text(toml)
        return load(tmp_path, environment)

    return make


def test_a_key_shows_as_stars_everywhere():
    secret = Secret("sk-very-secret")
    assert "very" not in f"{secret} {secret!r} {[secret]}"
    assert secret.reveal() == "sk-very-secret"


def test_settings_show_neither_environment_nor_file(made):
    assert "sk-secret" not in repr(made('[prepare]\nmodel = "sk-secret"', OPENAI_API_KEY="sk-secret"))


@pytest.mark.parametrize("vendor", [name for name in ACCESS if name != "local"])
def test_every_name_of_a_key_is_read_in_its_order(made, vendor):
    names = ACCESS[vendor].keys
    for name in names:
        assert made(**{name: "  key-of-mine "}).need_key(vendor).reveal() == "key-of-mine"
    assert made(**{name: name for name in names}).need_key(vendor).reveal() == names[0]
    assert made(**{names[0]: "x" * 9}).vendors_with_key() == (vendor,)
    with pytest.raises(UsageError, match="no API key") as caught:
        made(**{names[0]: "  "}).need_key(vendor)
    standard, _, also = caught.value.hint.partition("(also read: ")
    assert standard.startswith(f"set {names[0]} in ")
    assert also == (f"{', '.join(names[1:])})" if names[1:] else "")


@pytest.mark.parametrize("vendor", ACCESS)
def test_a_base_url_comes_from_the_environment_or_the_file(made, vendor):
    toml = f'[vendors.{vendor}]\nbase_url = "http://file"\n'
    assert made().base_url(vendor) is None
    assert made(toml).base_url(vendor) == "http://file"
    assert made(toml, **{ACCESS[vendor].base_urls[0]: "http://env"}).base_url(vendor) == "http://env"


@pytest.mark.parametrize("vendor", ACCESS)
def test_a_password_in_a_base_url_is_refused_and_not_shown(made, vendor):
    """Cards, the ledger and error texts name where a batch was sent to."""
    url, name = "https://me:hunter2@gateway.example/v1", ACCESS[vendor].base_urls[0]
    for settings, where in (
        (made(**{name: url}), name),
        (made(f'[vendors.{vendor}]\nbase_url = "{url}"\n'), "batchflow.toml"),
    ):
        with pytest.raises(UsageError, match=where) as refused:
            settings.base_url(vendor)
        assert "hunter2" not in f"{refused.value}{refused.value.hint}"
    assert made(**{name: "https://host/v1/@scope"}).base_url(vendor) == "https://host/v1/@scope"


def test_hide_replaces_every_key_the_longest_first(made):
    settings = made(OPENAI_API_KEY="abcdefgh", MISTRAL_API_KEY="abcdef", GROQ_API_KEY="short")
    assert settings.hide("x abcdefgh y abcdef z short") == "x *** y *** z short"


class TestModels:
    def test_the_exact_row_beats_the_longest_prefix(self, made):
        settings = made("""
            [models.openai."m*"]
            images = true
            [models.openai."m-1*"]
            images = false
            [models.openai."m-1-x"]
            levels = ["low"]
        """)
        assert settings.capabilities("openai", "m-2").images is True
        assert settings.capabilities("openai", "m-1-y").images is False
        assert settings.capabilities("openai", "m-1-x").levels == ("low",)

    def test_an_unknown_model_gets_the_safest_row(self, made):
        can = made().capabilities("openai", "nobody-knows")
        assert (can.known, can.sampling, can.seed, can.levels, can.budget) == (False, False, False, (), False)

    def test_a_projects_rows_lie_over_the_shipped_ones(self, made):
        settings = made('[default]\nopenai = "mine"\n')
        assert settings.default_model("openai") == "mine"
        assert settings.default_model("mistral")

    def test_a_row_with_an_unknown_word_is_refused(self, made):
        with pytest.raises(UsageError, match=r"models\.openai.*tempratur"):
            made("[models.openai.x]\ntempratur = true\n").capabilities("openai", "x")

    def test_every_default_model_is_in_the_table_with_its_date(self, made):
        for vendor in ACCESS:
            if vendor != "local":
                can = made().capabilities(vendor, made().default_model(vendor))
                assert can.known
                assert can.checked_on >= "2026-01-01"

    @pytest.mark.parametrize(
        ("model", "ends_on"),
        [
            ("gpt-5", "2026-12-11"),
            ("gpt-5-2025-08-07", "2026-12-11"),
            ("gpt-5-mini", "2026-12-11"),
            ("gpt-5.5-2026-04-23", ""),
            ("gpt-4o-mini", "2027-01-14"),
            ("gpt-4.1-mini", "2027-01-14"),
            ("gpt-4.1-nano-2025-04-14", "2026-10-23"),
        ],
    )
    def test_the_announced_end_of_a_model_is_in_its_row(self, made, model, ends_on):
        assert made().capabilities("openai", model).ends_on == ends_on

    def test_limits_are_lowered_by_the_file(self, made):
        assert made("[limits.openai]\nrequests = 5\n").limits("openai") == (5, None)
        assert made().limits("openai") == (None, None)

    @pytest.mark.parametrize("value", ["'abc'", "0", "-5", "1.5", "true"])
    def test_a_limit_that_is_no_count_is_refused(self, made, value):
        with pytest.raises(UsageError, match=r"\[limits\.openai\] requests has to be a whole number"):
            made(f"[limits.openai]\nrequests = {value}\n").limits("openai")
        with pytest.raises(UsageError, match="has to be a table"):
            made("[limits]\nopenai = 3\n").limits("openai")

    def test_a_vendor_or_key_that_nothing_reads_is_refused(self, made):
        for table, use in (("limits", "limits"), ("vendors", "base_url")):
            settings = made(f"[{table}.opnai]\nrequests = 5\n")
            with pytest.raises(UsageError, match=rf"\[{table}\.opnai\]: unknown") as caught:
                getattr(settings, use)("openai")
            assert "openai, anthropic" in caught.value.hint
        with pytest.raises(UsageError, match=r"\[limits\.openai\] request: unknown") as caught:
            made("[limits.openai]\nrequest = 5\n").limits("openai")
        assert caught.value.hint.startswith("it may hold requests, file_bytes, enqueued_tokens")

    def test_limits_of_a_queue_are_a_vendors_or_a_models(self, made):
        sol = '[limits.openai."gpt-6-sol"]\nenqueued_tokens = 2_000\n'
        settings = made(f"[limits.openai]\nenqueued_tokens = 1_000\nenqueued_jobs = 20\n{sol}")
        assert settings.limits("openai") == (None, None)
        seen = [settings.queue_limits("openai", model) for model in ("gpt-6-sol", "gpt-6-luna")]
        assert [(one.tokens, one.requests, one.jobs) for one in seen] == [(2_000, None, 20), (1_000, None, 20)]
        assert (made().queue_limits("gemini", "m").any, made().queue_limits("gemini", "m", 100).jobs) == (False, 100)
        with pytest.raises(UsageError, match=r'\[limits\.openai\."gpt-6-sol"\] enqueued_tokens has to be a whole'):
            made(sol.replace("2_000", "0")).limits("openai")
        with pytest.raises(UsageError, match="requests: unknown"):
            made(sol.replace("enqueued_tokens", "requests")).limits("openai")

    @pytest.mark.parametrize(
        ("row", "words"),
        [
            ("x = 3", "has to be a table"),
            ("x = {levels = 'low'}", "levels has to be a list"),
            ("x = {min_tokens = 'x'}", "min_tokens has to be a whole number"),
            ("x = {images = 1}", "images has to be true or false"),
            ("x = {samplng = true}", "unknown key 'samplng'"),
        ],
    )
    def test_a_row_of_the_model_table_of_another_form_is_refused(self, made, row, words):
        with pytest.raises(UsageError, match=words):
            made(f"[models.openai]\n{row}\n").capabilities("openai", "x")


@pytest.mark.parametrize("value", ["'soon'", "true", "-1", "inf", "nan"])
def test_what_calls_are_tuned_by_is_a_finite_number(made, value):
    with pytest.raises(UsageError, match=r"\[calls\] tries has to be a number >= 0"):
        made(f"[calls]\ntries = {value}\n").tuned("tries", 5)
    assert made("[calls]\nbase_s = 0.5\n").tuned("base_s", 1.0) == 0.5


def test_where_things_are(made, tmp_path):
    settings = made(BATCHFLOW_HOME="~/engines", HOME="/nowhere")
    assert settings.database_url == f"sqlite:///{tmp_path / 'batchflow.db'}"
    assert (settings.processed, settings.results) == (tmp_path / "processed_files", tmp_path / "results")
    assert not str(settings.home).startswith("~")
    assert not settings.rehearsal
    assert made(BATCHFLOW_REHEARSAL="1").rehearsal


def test_sections_have_to_be_tables(tmp_path):
    with pytest.raises(UsageError, match="has to be a table"):
        Settings(tmp_path, tmp_path, "sqlite:///x", file={"calls": 3}).section("calls")


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("sqlite:///x.db", "sqlite:///{}/x.db"),
        ("sqlite+pysqlite:///a/x.db?timeout=3", "sqlite+pysqlite:///{}/a/x.db?timeout=3"),
    ],
)
def test_a_relative_ledger_is_the_same_one_from_another_folder(made, tmp_path, monkeypatch, url, whole):
    monkeypatch.chdir(tmp_path)
    assert made(BATCHFLOW_DATABASE_URL=url).ledger_url == whole.format(tmp_path)


@pytest.mark.parametrize(
    "url", ["sqlite:////a/x.db", "sqlite:///:memory:", "sqlite:///file:x?uri=true", "postgresql://u:p@h/d"]
)
def test_other_ledgers_are_named_as_they_are(made, url):
    assert made(BATCHFLOW_DATABASE_URL=url).ledger_url == url


def test_the_rehearsed_openai_stands_in_for_a_gateway(made):
    toml = '[gateways.cluster]\nbase_url = "http://real/v1"\nkey = "K"\n'
    real = made(toml, K="secret-of-the-cluster")
    assert (real.base_url("cluster"), real.need_key("cluster").reveal()) == ("http://real/v1", "secret-of-the-cluster")
    assert "secret-of-the-cluster" in real.secrets()
    rehearsed = made(toml, BATCHFLOW_REHEARSAL="1", OPENAI_BASE_URL="http://here/v1", OPENAI_API_KEY="rehearsal")
    assert (rehearsed.base_url("cluster"), rehearsed.need_key("cluster").reveal()) == ("http://here/v1", "rehearsal")
    assert made(toml.replace('key = "K"\n', "")).need_key("cluster").reveal() == "none"
