from __future__ import annotations

import json

import pytest

from batchflow import files
from batchflow.ledger import batches, jobs


def raw_rows(path):
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def say(row, text):
    """The same row with another answer text."""
    changed = json.loads(json.dumps(row))
    changed["response"]["body"]["choices"][0]["message"]["content"] = text
    return changed


class TestBeforeTheEnd:
    def test_nothing_is_there_yet(self, vendor):
        vendor.prepare()
        assert "there are no results yet" in vendor.project.refused(7, "results", "b")
        vendor.project.ok("start", "b")
        vendor.site.pace = type(vendor.site.pace)(polls=1000)
        said = vendor.project.refused(7, "results", "b")
        assert "b is running" in said
        assert "batchflow get b" in said
        assert not (vendor.project.folder / "results").exists()

    def test_a_refused_create_has_none_either(self, vendor):
        vendor.fault("status", call="create", status=400)
        vendor.prepare()
        vendor.project.run("start", "b")
        assert "needs_you" in vendor.project.refused(6, "results", "b")


class TestRows:
    def test_one_per_request_in_request_order(self, vendor):
        vendor.ended(count=6)
        path = vendor.output()
        path.write_bytes(b"\n".join(reversed(path.read_bytes().splitlines())) + b"\n")
        made = vendor.project.ok("results", "b")
        rows = vendor.project.rows("results/b.jsonl")
        assert [row["custom_id"] for row in rows] == [f"r{n}" for n in range(1, 7)]
        assert made["outcomes"] == {"ok": 6}
        assert (made["path"], made["finished"], made["pending"]) == ("results/b.jsonl", True, 0)

    def test_hold_the_predecessors_keys_and_what_is_needed_to_trust_them(self, vendor):
        vendor.finished()
        row = vendor.project.rows("results/b.jsonl")[0]
        assert list(row)[:5] == ["id", "custom_id", "answer", "model", "original"]
        assert {"outcome", "error", "usage", "parsed"} <= set(row)
        assert json.loads(row["answer"]).keys() == {"justification", "answer"}
        assert json.loads(row["answer"])["answer"] == "2"
        assert row["original"]["custom_id"] == row["request"]
        assert row["usage"]["input_tokens"] > 0

    def test_hold_question_and_reference_unless_they_are_not_wanted_or_the_data_set_was_changed(self, vendor):
        vendor.finished()
        rows = vendor.project.rows("results/b.jsonl")
        assert [(row["question"], row["reference"]) for row in rows][:2] == [
            ("What is 1 and one?", "2"), ("What is 2 and one?", "3")
        ]  # fmt: skip
        vendor.project.ok("results", "b", "--no-question")
        bare = vendor.project.rows("results/b.jsonl")
        assert not {"question", "reference"} & bare[0].keys()
        (vendor.project.folder / "b-data.jsonl").write_text("{}")
        ran = vendor.project.run("results", "b")
        assert ran.code == 0
        assert vendor.project.rows("results/b.jsonl") == bare
        assert "was changed since it was prepared" in ran.err

    def test_a_second_time_is_the_same_file(self, vendor):
        vendor.finished()
        path = vendor.project.folder / "results/b.jsonl"
        before = path.read_bytes()
        path.write_text("somebody broke it")
        vendor.project.ok("results", "b")
        assert path.read_bytes() == before
        assert vendor.project.ok("show", "b")["made"]["results_sha256"] == files.sha256(path)
        assert vendor.calls("download") == 1

    def test_raw_output_is_kept_byte_for_byte(self, vendor):
        vendor.finished()
        with vendor.project.ledger() as ledger, ledger.read() as tx:
            (job,) = jobs.of_batch(tx, batches.get(tx, "b").id)
        (raw,) = job.raw
        kept = vendor.project.folder / raw["path"]
        assert kept.read_bytes() == vendor.output().read_bytes()
        assert (raw["bytes"], raw["sha256"]) == (kept.stat().st_size, files.sha256(kept))


@pytest.mark.parametrize(
    ("faults", "outcomes"),
    [
        ([("errors", 0.5)], {"error": 5, "ok": 5}),
        ([("errors", 1.0)], {"error": 10}),
        ([("refusals", 0.3)], {"ok": 7, "refused": 3}),
        ([("missing", 0.2)], {"missing": 2, "ok": 8}),
        ([("expire", 0.4)], {"expired": 6, "ok": 4}),
        ([("cancel", 0.7)], {"cancelled": 3, "ok": 7}),
        ([("errors", 0.2), ("refusals", 0.3), ("wrong_counts", 0.0)], {"error": 2, "ok": 6, "refused": 2}),
        ([("dirty", 0.0)], {"ok": 10}),
        ([("late_file", 0.0)], {"ok": 10}),
    ],
    ids=str,
)
def test_outcomes_add_up_whatever_happened(vendor, faults, outcomes):
    for kind, fraction in faults:
        vendor.fault(kind, call="job", fraction=fraction, polls=1)
    vendor.ended(count=10)
    made = vendor.project.ok("results", "b")
    assert made["outcomes"] == outcomes
    assert sum(made["outcomes"].values()) == made["requests"] == len(vendor.project.rows("results/b.jsonl"))
    assert sum(made["parsed"].values()) == made["outcomes"].get("ok", 0)
    assert vendor.project.ok("ledger", "check")["problems"] == []


def test_a_batch_that_failed_validation_is_errors_with_the_vendors_reason(vendor):
    vendor.fault("fail", call="job", message="line 3: the model is unwell")
    vendor.ended()
    made = vendor.project.ok("results", "b")
    assert made["outcomes"] == {"error": 4}
    assert all("the model is unwell" in row["error"] for row in vendor.project.rows("results/b.jsonl"))


class TestOddities:
    """Raw output is hostile: everything in it is accounted for, nothing raises, nothing is guessed."""

    def fetched(self, vendor, change):
        vendor.ended()
        path = vendor.output()
        path.write_bytes(change(raw_rows(path)))
        return vendor.project.ok("results", "b")

    def lines(self, *rows):
        return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)

    def test_are_counted_and_change_no_outcome(self, vendor):
        def soil(rows):
            stranger, another = (
                {**rows[0], "custom_id": "not-ours"},
                {**rows[0], "custom_id": rows[0]["custom_id"] + "x"},
            )
            nobody = {**rows[0], "custom_id": None}
            bad = (b"{broken", b"[1, 2]", b"", b"   ", b'"\xe2\x80\xa8"', b"\xff\xfe\x00", b"null")
            return b"\xef\xbb\xbf" + self.lines(*rows, *bad, stranger, another, nobody, rows[1])

        made = self.fetched(vendor, soil)
        assert made["outcomes"] == {"ok": 4}
        assert made["oddities"] == {"duplicate": 2, "garbage_line": 5, "unknown_id": 2}
        ran = vendor.project.run("results", "b")
        assert "in the vendor's output: " in ran.out
        assert "5 garbage_line" in ran.out

    def test_the_first_answer_counts_and_an_answer_beats_a_failure(self, vendor):
        def twice(rows):
            failed = {**rows[1], "response": None, "error": {"message": "no"}}
            return self.lines(
                rows[0],
                say(rows[0], "late"),
                failed,
                rows[1],
                rows[2],
                {**failed, "custom_id": rows[2]["custom_id"]},
                rows[3],
            )

        made = self.fetched(vendor, twice)
        rows = vendor.project.rows("results/b.jsonl")
        assert made["outcomes"] == {"ok": 4}
        assert made["oddities"] == {"duplicate": 3}
        assert "late" not in rows[0]["answer"]

    def test_a_forged_id_takes_nobodys_place(self, vendor):
        def forge(rows):
            return self.lines(*({**say(row, "mine"), "custom_id": row["custom_id"] + "x"} for row in rows), *rows)

        made = self.fetched(vendor, forge)
        assert made["outcomes"] == {"ok": 4}
        assert made["oddities"] == {"unknown_id": 4}
        assert not any("mine" in row["answer"] for row in vendor.project.rows("results/b.jsonl"))

    def test_line_separators_inside_an_answer_are_data(self, vendor):
        text = json.dumps({"justification": "a\u2028b\u0085c", "answer": "d\u2029"}, ensure_ascii=False)
        self.fetched(
            vendor, lambda rows: self.lines(*(json.dumps(say(row, text), ensure_ascii=False).encode() for row in rows))
        )
        row = vendor.project.rows("results/b.jsonl")[0]
        assert json.loads(row["answer"]) == {"justification": "a\u2028b\u0085c", "answer": "d\u2029"}

    def test_half_characters_nul_and_absurd_numbers_are_written_as_well_as_can_be(self, vendor):
        def mad(rows):
            halves = self.lines(say(rows[0], '{"justification": "\\ud83d", "answer": "\ud800"}'))
            many = json.loads(json.dumps(rows[1]))
            many["response"]["body"]["usage"] = {"prompt_tokens": 10**30, "completion_tokens": -4}
            nul = {**rows[2], "response": None, "error": {"message": "a\x00b\x1b[31mred"}}
            nan = self.lines(rows[3]).replace(b'"usage":', b'"x": NaN, "usage":')
            return halves + self.lines(many, nul) + nan

        made = self.fetched(vendor, mad)
        rows = vendor.project.rows("results/b.jsonl")
        assert made["outcomes"] == {"error": 1, "ok": 3}
        assert json.loads(rows[0]["answer"])["answer"] == "\N{REPLACEMENT CHARACTER}"
        assert rows[1]["usage"]["output_tokens"] == 0
        assert "\x1b" not in vendor.project.run("show", "b").out

    def test_answers_that_are_no_json_are_unparsed_and_mended_ones_flagged(self, vendor):
        texts = ["I think it is 2.", '```json\n{"justification": "j", "answer": "3",}\n```', '{"answer": "4"}', ""]
        made = self.fetched(vendor, lambda rows: self.lines(*map(say, rows, texts)))
        rows = vendor.project.rows("results/b.jsonl")
        assert [row["parsed"] for row in rows[:3]] == ["unparsed", "repaired", "unparsed"]
        assert rows[0]["answer"] == "I think it is 2."
        assert json.loads(rows[1]["answer"]) == {"justification": "j", "answer": "3"}
        assert made["parsed"]["unparsed"] == 2

    def test_an_empty_output_is_missing_rows(self, vendor):
        vendor.project.environment["BATCHFLOW_CALLS_LATE_S"] = "0"
        made = self.fetched(vendor, lambda _: b"")
        assert made["outcomes"] == {"missing": 4}

    def test_rows_of_another_batch_reach_nobody(self, vendor):
        vendor.ended("other")
        other = vendor.output().read_bytes()
        vendor.ended("b", "--hints", 1)
        vendor.output().write_bytes(other)
        vendor.project.environment["BATCHFLOW_CALLS_LATE_S"] = "0"
        made = vendor.project.ok("results", "b")
        assert made["outcomes"] == {"missing": 4}
        assert made["oddities"] == {"unknown_id": 4}


class TestDownloads:
    @pytest.mark.parametrize("fault", [{"kind": "cut"}, {"kind": "reset"}, {"kind": "status", "status": 503}], ids=str)
    def test_that_break_are_repeated(self, vendor, fault):
        vendor.ended()
        vendor.fault(call="download", **fault)
        assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 4}
        assert vendor.calls("download") == 2

    def test_that_are_cut_without_a_word_are_noticed(self, vendor):
        vendor.ended(count=20)
        vendor.fault("cut", call="download", length=False)
        assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 20}

    def test_that_never_come_are_told_and_leave_no_part(self, vendor):
        vendor.ended()
        vendor.fault("status", call="download", status=500, times=0)
        assert "HTTP 500" in vendor.project.refused(5, "results", "b")
        assert not [name for name in vendor.project.files() if name.endswith(".part") or name.startswith("results")]

    def test_of_a_file_that_is_gone_lose_nothing_until_a_person_says_so(self, vendor):
        vendor.ended()
        vendor.project.environment["BATCHFLOW_CALLS_LATE_S"] = "0"
        vendor.site.drop("openai", vendor.site.jobs("openai")[0].outputs["output"])
        assert "HTTP 404" in vendor.project.refused(5, "results", "b")
        vendor.project.ok("cancel", "b", "--lost")
        assert vendor.project.ok("results", "b")["outcomes"] == {"missing": 4}
        assert vendor.project.ok("get", "b")["state"] == "finished"

    def test_that_nobody_names_yet_come_later(self, vendor):
        vendor.fault("late_file", call="job", polls=3)
        vendor.ended()
        assert "names neither an output nor an error file yet" in vendor.project.refused(7, "results", "b")
        assert vendor.project.ok("results", "b")["outcomes"] == {"ok": 4}


def test_raw_output_that_was_deleted_here_is_told(vendor):
    vendor.finished()
    next((vendor.project.folder / "processed_files").glob("b.output.raw")).unlink()
    assert "cannot be read" in vendor.project.refused(3, "results", "b")
