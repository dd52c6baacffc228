from __future__ import annotations

import base64
import json

import pytest
from helpers.commands import dataset, riddle

from batchflow import files
from batchflow.ledger import batches, jobs, request_rows
from batchflow.settings import VENDORS
from batchflow.steps.building.batch_builder import sample_seed

LOCAL = ("--provider", "local", "--base-url", "http://127.0.0.1:9/v1", "--model", "m")


def prepared(project, *flags):
    return project.ok("prepare", *LOCAL, "--dataset", dataset(project.folder / "data.jsonl").name, *flags)


def card(project, name, *flags):
    """What `prepare` shows of a batch, new or not."""
    given = flags or ("--hints", 4, "--dataset", "data.jsonl")
    return project.run("prepare", *LOCAL, "--name", name, *given).out


def nothing_was_made(project):
    with project.ledger() as ledger, ledger.read() as tx:
        assert batches.listing(tx) == ()
        assert request_rows.tally(tx, 1).requests == 0
    assert not [name for name in project.files() if name.startswith("processed_files")]


class TestTwice:
    def test_is_a_no_op_that_says_so(self, project):
        first, before = prepared(project), (project.folder / "processed_files/local_m_llm_hints_0.jsonl").read_bytes()
        again = project.run("prepare", *LOCAL, "--dataset", "data.jsonl")
        assert again.code == 0
        assert "nothing was changed" in again.out
        second = project.ok("prepare", *LOCAL, "--dataset", "data.jsonl")
        assert (first.pop("new"), second.pop("new")) == (True, False)
        assert first == second
        assert (project.folder / first["files"][0]).read_bytes() == before
        assert len(project.ok("list")["batches"]) == 1

    def test_of_a_batch_whose_file_is_gone_leads_to_what_brings_it_back(self, project):
        made = prepared(project)
        (project.folder / made["files"][0]).unlink()
        again = project.ok("prepare", *LOCAL, "--dataset", "data.jsonl")
        assert again["next"] == f"batchflow delete {made['name']}"
        assert any("is gone: delete the batch, then prepare it again" in note for note in again["notes"])
        assert project.ok("delete", made["name"])["names"] == [made["name"]]
        assert project.ok("prepare", *LOCAL, "--dataset", "data.jsonl")["new"]

    @pytest.mark.parametrize(
        ("flags", "differs"),
        [
            (("--hints", 1), "hints: 0 there, 1 here"),
            (("--limit", 2), "limit: not set there, 2 here"),
            (("--seed", 7), "seed: not set there, 7 here"),
            (("--temperature", 0.5), "temperature: not set there, 0.5 here"),
            (("--model", "n"), "model: m there, n here"),
        ],
    )
    def test_under_a_taken_name_something_else_is_refused_with_what_differs(self, project, flags, differs):
        prepared(project, "--name", "mine")
        before = project.files()
        said = project.refused(2, "prepare", *LOCAL, "--dataset", "data.jsonl", "--name", "mine", *flags)
        assert "the name mine is taken by another batch" in said
        assert differs in said
        assert "batchflow delete mine" in said
        assert project.files() == before

    def test_other_data_under_the_same_path_differs(self, project):
        prepared(project, "--name", "mine")
        dataset(project.folder / "data.jsonl", count=3)
        said = project.refused(2, "prepare", *LOCAL, "--dataset", "data.jsonl", "--name", "mine")
        assert "dataset_sha256: " in said

    def test_a_file_of_somebody_else_is_not_overwritten(self, project):
        path = project.folder / "processed_files" / "mine.jsonl"
        path.parent.mkdir()
        path.write_text("precious\n")
        dataset(project.folder / "data.jsonl")
        said = project.refused(3, "prepare", *LOCAL, "--dataset", "data.jsonl", "--name", "mine")
        assert "not from this ledger" in said
        assert path.read_text() == "precious\n"


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "../out", "a/b", "a\\b", "/etc/passwd", "..", ".hidden", "-flag", "a\nb", "a b", "ünï", "a\x1b[31m",
            "x" * 151, "a:b", "",
        ],
    )  # fmt: skip
    def test_that_could_leave_the_folder_or_the_terminal_are_refused(self, project, name):
        dataset(project.folder / "data.jsonl")
        before = project.files()
        if name:
            said = project.refused(2, "prepare", *LOCAL, "--dataset", "data.jsonl", f"--name={name}")
            assert "\x1b" not in said
            assert project.files() == before
        else:  # an empty name is no name: the default holds
            assert project.ok("prepare", *LOCAL, "--dataset", "data.jsonl", "--name=")["name"] == "local_m_llm_hints_0"

    def test_are_made_of_provider_model_split_and_hints(self, project):
        made = prepared(project, "--model", "org/Model v1.5:free", "--hints", 2)
        assert made["name"] == "local_org-Model-v1-5-free_llm_hints_2"
        assert made["files"] == [f"processed_files/{made['name']}.jsonl"]

    @pytest.mark.parametrize("where", [LOCAL[2:4], ("--engine", "hf")])
    def test_of_a_model_that_is_longer_than_a_file_may_be_called_need_a_name(self, project, where):
        words = ("prepare", "--provider", "local", *where, "--model", "m" * 300, "--limit", 1)
        assert "with --name" in project.refused(2, *words)
        assert project.ok(*words, "--name", "short")["model"] == "m" * 300

    def test_of_a_model_file_are_those_of_the_file(self, project):
        assert prepared(project, "--model", "/models/Tiny.Q8_0.gguf")["name"] == "local_Tiny-Q8-0_llm_hints_0"


BROKEN_PNG = base64.b64encode(b"not a picture").decode()


class TestBadData:
    @pytest.mark.parametrize(
        ("rows", "line", "field"),
        [
            ([riddle(1), riddle(2, id=None)], 2, "id"),
            ([riddle(1), riddle(2), riddle(3, id="r1")], 3, "id"),
            ([riddle(1), riddle(2, answer="")], 2, "answer"),
            ([riddle(1, description=None)], 1, "description"),
            ([riddle(1, picarats="many")], 1, "picarats"),
            ([riddle(1, first_hint=["a"])], 1, "first_hint"),
        ],
    )
    def test_is_refused_with_file_line_and_field_and_nothing_is_written(self, project, rows, line, field):
        dataset(project.folder / "data.jsonl", rows)
        said = project.refused(3, "prepare", *LOCAL, "--dataset", "data.jsonl")
        assert f"data.jsonl, line {line}, field {field}" in said
        nothing_was_made(project)

    @pytest.mark.parametrize("img", [None, "%%%", BROKEN_PNG, "data:text/html;base64,PGI+"])
    def test_pictures_that_are_none_are_refused(self, project, img):
        dataset(project.folder / "data.jsonl", [riddle(1, split="vlm", img=img)])
        said = project.refused(3, "prepare", *LOCAL, "--split", "vlm", "--dataset", "data.jsonl")
        assert "line 1, field img" in said
        nothing_was_made(project)

    @pytest.mark.parametrize("text", ["", "\n\n", "{broken\n", "[1]\n", '{"id": "a"'])
    def test_files_that_hold_no_rows_are_refused(self, project, text):
        (project.folder / "data.jsonl").write_text(text)
        assert "data.jsonl" in project.refused(3, "prepare", *LOCAL, "--dataset", "data.jsonl")
        nothing_was_made(project)

    def test_a_bad_row_far_down_leaves_nothing_of_those_before_it(self, project):
        count = request_rows.CHUNK + 10
        dataset(project.folder / "data.jsonl", [*(riddle(n) for n in range(count)), riddle(0, id=None)])
        assert f"line {count + 1}" in project.refused(3, "prepare", *LOCAL, "--dataset", "data.jsonl")
        nothing_was_made(project)

    def test_nothing_to_ask_is_refused(self, project):
        dataset(project.folder / "data.jsonl")
        assert "no split 'vlm'" in project.refused(3, "prepare", *LOCAL, "--split", "vlm", "--dataset", "data.jsonl")

    def test_a_line_over_the_vendors_limit_is_refused_by_its_id(self, project):
        (project.folder / "batchflow.toml").write_text("[limits.openai]\nfile_bytes = 900\n")
        dataset(project.folder / "data.jsonl", [riddle(1, description="long " * 300)])
        said = project.refused(3, "prepare", "--provider", "openai", "--dataset", "data.jsonl")
        assert "the vendor takes 900" in said
        nothing_was_made(project)


class TestWhatIsAsked:
    def test_the_file_in_the_ledger_is_the_file_on_disk(self, project):
        made = prepared(project)
        with project.ledger() as ledger, ledger.read() as tx:
            batch = batches.get(tx, made["name"])
            requests = list(request_rows.stream(tx, batch.id))
            (job,) = jobs.of_batch(tx, batch.id)
        path = project.folder / job.path
        assert files.sha256(path) == job.sha256
        assert path.stat().st_size == job.bytes == made["bytes"]
        assert [row["custom_id"] for row in project.rows(job.path)] == [row.custom_id for row in requests]
        assert [row.item_id for row in requests] == ["r1", "r2", "r3", "r4"]
        assert len({row["custom_id"] for row in project.rows(job.path)}) == made["requests"] == 4

    def test_limits_cut_a_batch_into_jobs(self, project):
        (project.folder / "batchflow.toml").write_text("[limits.local]\nrequests = 3\n")
        made = project.ok(
            "prepare", *LOCAL, "--dataset", dataset(project.folder / "d.jsonl", count=8).name, "--name", "x"
        )
        assert made["files"] == [f"processed_files/x.part-{part:03d}.jsonl" for part in range(3)]
        assert [len(project.rows(path)) for path in made["files"]] == [3, 3, 2]
        assert made["requests"] == 8

    def test_hints_are_counted_as_items_really_have_them(self, project):
        told = [riddle(1), riddle(2, second_hint="Carry."), riddle(3, first_hint=None), riddle(4, first_hint="  ")]
        dataset(project.folder / "data.jsonl", told)
        made = project.ok("prepare", *LOCAL, "--dataset", "data.jsonl", "--hints", 4)
        assert made["hint_counts"] == [2, 1, 0, 0]
        texts = [json.dumps(row) for row in project.rows(made["files"][0])]
        assert ["Count." in text for text in texts] == [True, True, False, False]
        assert ["Carry." in text for text in texts] == [False, True, False, False]
        assert "Hints shown:    hint 1 in 2, hint 2 in 1, hint 3 in 0, hint 4 in 0 items\n" in card(
            project, made["name"]
        )

    def test_the_card_counts_the_hints_that_were_asked_for(self, project):
        told = [riddle(1, second_hint="Carry."), riddle(2)]
        dataset(project.folder / "data.jsonl", told)
        assert "hint 1 in 2 items" in card(project, "one", "--hints", 1, "--dataset", "data.jsonl")
        assert "Hints shown" not in card(project, "none", "--hints", 0, "--dataset", "data.jsonl")

    def test_too_many_hints_are_refused(self, project):
        assert "at most 4" in project.refused(2, "prepare", *LOCAL, "--hints", 5)

    def test_each_sample_has_a_seed_of_its_own(self, project):
        """With one seed a vendor that obeys it would give the same answer three times."""
        path = dataset(project.folder / "data.jsonl")
        asked = ("--provider", "openai", "--model", "gpt-4.1", "--samples", 3, "--seed", 7)
        project.ok("prepare", *asked, "--dataset", path.name)
        (path,) = (project.folder / "processed_files").glob("*.jsonl")
        rows = project.rows(f"processed_files/{path.name}")
        assert [row["body"]["seed"] for row in rows] == [7, 1256135694, 611527385] * 4

    def test_no_sample_of_a_seed_is_a_sample_of_another_seed(self):
        seeds = [sample_seed(seed, sample) for seed in range(40) for sample in range(1, 40)]
        assert len(set(seeds)) == len(seeds)
        assert all(40 <= seed < 2**31 for seed in seeds)
        assert 0 <= sample_seed(2**63 - 1, 10**6) < 2**31

    def test_samples_ask_each_item_again(self, project):
        assert prepared(project, "--samples", 3)["requests"] == 12

    def test_limit_takes_the_first_items(self, project):
        made = prepared(project, "--limit", 2)
        assert [row["custom_id"].rpartition("-")[2] for row in project.rows(made["files"][0])] == ["r1", "r2"]

    def test_built_in_riddles_need_neither_key_nor_network(self, project):
        made = project.ok("prepare", "--split", "llm")
        assert made["requests"] >= 80
        assert made["provider"] == "local"


class TestPictures:
    def test_the_embedded_model_refuses_them_and_what_could_take_them_is_named(self, project):
        said = project.refused(2, "prepare", "--split", "vlm", "--hints", 2)
        assert "no vendor's key is set, and the embedded model reads text only" in said
        for way in ("OPENAI_API_KEY", "--provider", "--base-url"):
            assert way in said
        nothing_was_made(project)

    def test_a_server_that_may_take_them_gets_them(self, project):
        made = project.ok("prepare", *LOCAL, "--split", "vlm", "--limit", 2)
        assert "data:image/" in (project.folder / made["files"][0]).read_text()


class TestDefaults:
    def choice(self, project, *flags, **environment):
        project.environment.update(environment)
        dataset(project.folder / "data.jsonl")
        made = project.ok("prepare", "--dataset", "data.jsonl", "--name", f"n{len(project.files())}", *flags)
        return made["provider"], made["model"]

    def test_flag_then_environment_then_file(self, project):
        project.folder.joinpath("batchflow.toml").write_text('[prepare]\nprovider = "groq"\nmodel = "in/file"\n')
        assert self.choice(project) == ("groq", "in/file")
        assert self.choice(project, BATCHFLOW_PROVIDER="mistral", BATCHFLOW_MODEL="in-env") == ("mistral", "in-env")
        assert self.choice(project, "--provider", "together", "--model", "flag") == ("together", "flag")

    def test_then_the_only_vendor_with_a_key_then_the_embedded_engine(self, project):
        assert self.choice(project) == ("local", "smollm2-135m-instruct")
        assert self.choice(project, MISTRAL_API_KEY="not-a-real-key")[0] == "mistral"
        project.environment["GROQ_API_KEY"] = "not-a-real-key"
        said = project.refused(2, "prepare", "--dataset", "data.jsonl")
        assert "keys of several vendors are set (MISTRAL_API_KEY, GROQ_API_KEY), and no provider is chosen" in said
        for way in ("--provider mistral", "BATCHFLOW_PROVIDER=mistral", 'provider = "mistral" under [prepare]'):
            assert way in said
        assert self.choice(project, BATCHFLOW_PROVIDER="groq")[0] == "groq"

    def test_pictures_go_to_the_only_vendor_whose_default_model_takes_them(self, project):
        project.environment |= {"GROQ_API_KEY": "not-a-real-key", "OPENAI_API_KEY": "not-a-real-key"}
        made = project.ok("prepare", "--split", "vlm", "--hints", 2, "--limit", 1)
        assert made["provider"] == "openai"
        assert "openai was taken because it is the only one whose default takes pictures" in made["notes"]
        project.environment["ANTHROPIC_API_KEY"] = "not-a-real-key"
        said = project.refused(2, "prepare", "--split", "vlm", "--hints", 2)
        assert "(OPENAI_API_KEY, ANTHROPIC_API_KEY)" in said

    def test_a_providers_name_is_read_in_any_case(self, project):
        (project.folder / "batchflow.toml").write_text(
            '[limits.OpenAI]\nrequests = 1\n[default]\nOpenAI = "gpt-6-luna"\n[models.OpenAI."gpt-99"]\nseed = true\n'
        )
        assert self.choice(project, "--provider", "OpenAI") == ("openai", "gpt-6-luna")
        assert self.choice(project, BATCHFLOW_PROVIDER="OPENAI")[0] == "openai"
        assert len(project.ok("prepare", "--provider", "OpenAI", "--limit", 2, "--name", "two")["files"]) == 2
        project.ok("prepare", "--provider", "openai", "--model", "gpt-99", "--seed", 1, "--limit", 1)
        assert len(project.ok("list", "--provider", "OpenAI")["batches"]) == 4

    @pytest.mark.parametrize(
        ("provider", "model", "maker"),
        [
            ("openai", "claude-opus-4-5", "anthropic"), ("anthropic", "gpt-6-luna", "openai"),
            ("gemini", "mistral-large-2512", "mistral"), ("mistral", "gemini-4-carbon", "gemini"),
            ("groq", "claude-opus-4-5", "anthropic"), ("together", "gpt-6-luna", "openai"),
        ],
    )  # fmt: skip
    def test_another_vendors_model_is_refused_unless_said_twice(self, project, provider, model, maker):
        words = ("prepare", "--provider", provider, "--model", model, "--limit", 1)
        said = project.refused(2, *words)
        assert f"{model} looks like a model of {maker}, and {provider} would be asked for it" in said
        assert "--as-named" in said
        nothing_was_made(project)
        assert project.ok(*words, "--as-named")["model"] == model
        (project.folder / "batchflow.toml").write_text(f'[models.{provider}."{model}"]\nseed = true\n')
        assert project.ok(*words, "--name", "row")["model"] == model

    def test_a_gateway_may_serve_any_model(self, project):
        project.environment["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
        assert self.choice(project, "--provider", "openai", "--model", "claude-opus-4-5")[1] == "claude-opus-4-5"

    @pytest.mark.parametrize(
        ("provider", "model"),
        [("groq", "openai/gpt-oss-20b"), ("groq", "mistral-saba-24b"), ("openai", "ft:gpt-4.1:me")],
    )
    def test_hosts_of_open_models_are_not_suspected(self, project, provider, model):
        assert self.choice(project, "--provider", provider, "--model", model) == (provider, model)

    def test_a_rehearsal_is_of_a_vendor(self, project):
        keys = {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k", "BATCHFLOW_REHEARSAL": "1"}
        assert self.choice(project, **keys)[0] == "openai"
        assert self.choice(project, "--provider", "groq") == ("groq", "openai/gpt-oss-20b")
        assert self.choice(project, "--base-url", "http://127.0.0.1:9/v1", "--model", "m") == ("local", "m")

    def test_a_dotenv_file_is_part_of_the_environment_and_below_it(self, project):
        (project.folder / ".env").write_text("BATCHFLOW_MODEL=from-dotenv\nMISTRAL_API_KEY=not-a-real-key\n")
        assert self.choice(project) == ("mistral", "from-dotenv")
        assert self.choice(project, BATCHFLOW_MODEL="from-env") == ("mistral", "from-env")

    @pytest.mark.parametrize(
        ("name", "value", "said"),
        [
            ("BATCHFLOW_HINTS", "two", "--hints: 'two' is not a whole number"),
            ("BATCHFLOW_LIMIT", "-1", "--limit: -1 is below 0"),
            ("BATCHFLOW_SEED", "9223372036854775808", "--seed: 9223372036854775808 is too large"),
            ("BATCHFLOW_TEMPERATURE", "nan", "--temperature: nan is out of range"),
            ("BATCHFLOW_TEMPERATURE", "hot", "--temperature: 'hot' is not a number"),
            ("BATCHFLOW_SPLIT", "audio", "audio"),
            ("BATCHFLOW_TASK", "chess", "no task is called 'chess'"),
            ("BATCHFLOW_PROVIDER", "acme", "no provider is called 'acme'"),
        ],
    )  # fmt: skip
    def test_values_from_outside_are_checked_like_flags(self, project, name, value, said):
        project.environment[name] = value
        assert said in project.refused(2, "prepare")

    def test_a_results_file_of_the_users_own_is_not_put_at_risk(self, project):
        project.results.mkdir()
        (project.results / "one.jsonl").write_text("mine\n")
        assert "is not from this ledger" in project.refused(3, "prepare", *LOCAL, "--limit", 1, "--name", "one")
        assert project.files() == {"results/one.jsonl"}
        project.ok("prepare", *LOCAL, "--limit", 1, "--name", "two")

    def test_what_a_killed_prepare_left_goes_with_the_next_one_of_any_name(self, project):
        project.ok("prepare", *LOCAL, "--limit", 1, "--name", "one")
        left = project.folder / "processed_files" / ".two.part-000.jsonl.1.part"
        left.write_bytes(b"half a li")
        project.ok("prepare", *LOCAL, "--limit", 1, "--name", "three")
        assert project.files() == {"processed_files/one.jsonl", "processed_files/three.jsonl"}

    def test_an_unknown_provider_is_told_those_that_answer(self, project):
        said = project.refused(2, "prepare", "--provider", "nobody")
        assert f"use one of {', '.join(VENDORS)}, local\n" in said

    def test_a_limit_for_a_vendor_that_does_not_exist_is_refused(self, project):
        (project.folder / "batchflow.toml").write_text("[limits.opnai]\nrequests = 5\n")
        assert "[limits.opnai]: unknown" in project.refused(2, "prepare", "--provider", "openai", "--limit", 1)
        assert project.files() == set()

    @pytest.mark.parametrize(
        ("model", "said"),
        [
            ("gpt-4.1-nano", "openai shut gpt-4.1-nano down on 2026-10-23, as far as"),
            ("gpt-9-mini", "openai shuts gpt-9-mini down on 2999-12-31: this cannot be asked again"),
            ("gpt-6-luna", ""),
        ],
    )
    def test_a_model_whose_end_is_announced_has_a_note(self, project, model, said):
        (project.folder / "batchflow.toml").write_text('[models.openai."gpt-9*"]\nends_on = "2999-12-31"\n')
        notes = project.ok("prepare", "--provider", "openai", "--model", model, "--limit", 1)["notes"]
        assert [note.startswith(said) for note in notes] == ([True] if said else [])

    @pytest.mark.parametrize("toml", ["[prepare", "prepare = 3", "\xff"])
    def test_a_broken_settings_file_is_told(self, project, toml):
        (project.folder / "batchflow.toml").write_bytes(toml.encode("latin-1"))
        assert "batchflow.toml" in project.refused(2, "prepare")

    @pytest.mark.parametrize("slip", ["hnts", "max-tokens", "base_url"])
    def test_a_setting_that_nothing_reads_is_refused(self, project, slip):
        (project.folder / "batchflow.toml").write_text(f"[prepare]\nhints = 1\n{slip} = 2\n")
        said = project.refused(2, "prepare")
        assert f"[prepare] {slip}: unknown" in said
        assert "max_tokens" in said

    def test_a_broken_dotenv_file_is_told(self, project):
        (project.folder / ".env").write_bytes(b"KEY=\xff\xfe\n")
        assert ".env" in project.refused(2, "prepare")

    def test_options_of_the_local_engine_are_not_for_vendors(self, project):
        said = project.refused(2, "prepare", "--provider", "openai", "--concurrency", 3)
        assert "for --provider local" in said

    @pytest.mark.parametrize("flags", [("--temperature", 0.5), ("--thinking-level", "immense"), ("--endpoint", "/v9")])
    def test_what_a_model_does_not_take_is_refused_with_what_works(self, project, flags):
        said = project.refused(2, "prepare", "--provider", "openai", "--model", "gpt-6-luna", *flags)
        assert "openai" in said
        assert flags[0] in said
        assert "what to do" in said
        nothing_was_made(project)

    def test_an_unknown_model_gets_the_safest_request_and_the_card_says_so(self, project):
        made = project.ok("prepare", "--provider", "openai", "--model", "gpt-99", "--limit", 1)
        assert any("not in the model table" in note for note in made["notes"])

    def test_where_a_vendor_is_pointed_stands_on_the_card(self, project):
        project.environment["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
        assert "Pointed at:" in project.run("prepare", "--provider", "openai", "--limit", 1).out


def test_others_write_to_the_ledger_while_a_batch_is_made(vendor, monkeypatch):
    """Its rows and files appear in one short transaction, once all lines are written."""
    from batchflow.steps.building import batch_builder

    vendor.prepare("first")
    seen = []
    real = batch_builder.batch_file.line

    def line(request, encoded):
        if not seen:
            seen.append(vendor.project.run("start", "first"))
            assert "second" not in vendor.project.run("list").out
        return real(request, encoded)

    monkeypatch.setattr(batch_builder.batch_file, "line", line)
    vendor.prepare("second")
    assert seen[0].code == 0
    assert vendor.project.ok("get", "first")["state"] != "prepared"
    assert vendor.project.ok("ledger", "check")["problems"] == []


def test_a_name_that_was_taken_meanwhile_is_seen_before_anything_is_written(vendor, monkeypatch):
    from batchflow.steps.building import batch_builder

    real, seen = batch_builder.batch_file.line, []

    def line(request, encoded):
        if not seen:
            seen.append(True)
            vendor.prepare("b", count=2)
        return real(request, encoded)

    monkeypatch.setattr(batch_builder.batch_file, "line", line)
    path = dataset(vendor.project.folder / "other.jsonl", count=3)
    given = ("--provider", "openai", "--model", "gpt-6-luna", "--name", "b", "--dataset", path.name)
    assert "the name b is taken by another batch" in vendor.project.refused(2, "prepare", *given)
    assert len(vendor.project.rows("processed_files/b.jsonl")) == 2
    assert not [name for name in vendor.project.files() if name.endswith(".part")]
