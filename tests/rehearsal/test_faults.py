from __future__ import annotations

import json

import pytest

from batchflow.errors import UsageError
from batchflow.rehearsal import registry
from batchflow.rehearsal.faults import CALL_KINDS, JOB_KINDS, VENDORS, Fault, Faults, load


def test_the_nth_call_is_hit_and_no_other():
    faults = Faults([Fault("status", vendor="openai", call="create", nth=2, times=2)])
    assert faults.take("groq", "create") == []
    assert faults.take("openai", "poll") == []
    assert [len(faults.take("openai", "create")) for _ in range(5)] == [0, 1, 1, 0, 0]


def test_zero_times_means_from_there_on():
    faults = Faults([Fault("reset", nth=2, times=0)])
    assert [len(faults.take("openai", "poll")) for _ in range(4)] == [0, 1, 1, 1]


def test_faults_of_jobs_and_of_calls_do_not_mix():
    faults = Faults([Fault("expire"), Fault("reset")])
    assert [fault.kind for fault in faults.take("openai", "job")] == ["expire"]
    assert [fault.kind for fault in faults.take("openai", "poll")] == ["reset"]


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_script_is_read_from_toml_and_json(tmp_path, suffix):
    path = tmp_path / f"faults{suffix}"
    entry = {"vendor": "groq", "call": "create", "kind": "status", "status": 503, "retry_after": "4", "when": "after"}
    text = "[[fault]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in entry.items())
    path.write_text(text if suffix == ".toml" else json.dumps({"fault": [entry]}))
    (hit,) = load(path).take("groq", "create")
    assert (hit.status, hit.retry_after, hit.when) == (503, "4", "after")


def test_a_fault_of_a_job_needs_no_call(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "expire"\nfraction = 0.25\n')
    assert load(path).take("openai", "job")[0].fraction == 0.25


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[fault]]\nkind = 'explode'\n", "fault 1: no kind 'explode'"),
        ("[[fault]]\nkind = 'reset'\nwhem = 'after'\n", "fault 1: unknown whem"),
        ("[[fault]]\nkind = 'reset'\nwhen = 'later'\n", "no such call or when"),
        ("[[fault]]\nkind = 'reset'\ncall = 'dance'\n", "no such call or when"),
        ("[[fault]]\nkind = 'reset'\nnth = 'two'\n", "nth has to be of type int"),
        ("[[fault]]\nkind = 'reset'\nretry_after = 3\n", "retry_after has to be of type str"),
        ("[[fault]]\nkind = 'reset'\nvendor = 'opnai'\n", "no vendor 'opnai'"),
        ("[[fault]]\nkind = 'expire'\ncall = 'create'\n", "expire does not apply to the call 'create'"),
        ("[[fault]]\nkind = 'fail'\nvendor = 'anthropic'\n", "validates rows, not batches"),
        ("[[fault]]\nkind = 'reset'\ncall = 'job'\n", "reset does not apply to the call 'job'"),
        ("[[fault]]\nkind = 'expire'\nfraction = 7\n", "out of range"),
        ("[[fault]]\nkind = 'status'\nstatus = 42\n", "out of range"),
        ("fault = 3\n", "has to be a list"),
        ("fault = [3]\n", "not a table"),
        ("not toml", "faults.toml"),
    ],
)
def test_a_script_that_makes_no_sense_is_refused_with_its_place(tmp_path, text, words):
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words) as caught:
        load(path)
    assert caught.value.hint


def test_a_missing_script_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"none\.toml"):
        load(tmp_path / "none.toml")


def test_kinds_are_either_of_a_call_or_of_a_job():
    assert not CALL_KINDS.keys() & JOB_KINDS.keys()


def test_every_rehearsed_vendor_can_have_a_fault():
    assert set(VENDORS) == {*registry.MODULES, "*"}
