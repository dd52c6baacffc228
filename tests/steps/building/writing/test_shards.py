"""Shards: prompts that begin alike stay together, and all shards have about as many rows."""

from __future__ import annotations

import json
from collections import Counter
from itertools import chain, pairwise

import pytest
from helpers.commands import Project, dataset
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from batchflow.errors import UsageError
from batchflow.local.job.prefix_affinity import STEPS
from batchflow.records import Limits
from batchflow.steps.building.writing import shards
from batchflow.steps.building.writing.shards import ShardWriter

LIMITS = Limits(requests=10_000, file_bytes=1 << 30)
FLAGS = ("--provider", "local", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--name", "b")


def line(place, prompt):
    messages = [{"role": "user", "content": prompt}]
    return json.dumps({"custom_id": str(place), "body": {"messages": messages, "seed": place}}, separators=(",", ":"))


def cut(folder, prompts, count, limits=LIMITS):
    """The shards of prompts, each as the places of its rows in the order of its file."""
    lines = [f"{line(place, prompt)}\n".encode() for place, prompt in enumerate(prompts)]
    with ShardWriter(folder, "b", limits, count) as writer:
        numbers = list[int]()
        for at in range(0, len(lines), 7):
            some = lines[at : at + 7]
            numbers += writer.add_all([str(at + n) for n in range(len(some))], some)
        writer.sync()
        parts = writer.settle()
        placed = list(writer.placed(0, numbers))
    rows = [[int(json.loads(row)["custom_id"]) for row in part.path.read_bytes().splitlines()] for part in parts]
    assert [len(each) for each in rows] == [part.requests for part in parts]
    assert all(number == placed[place] for number, each in enumerate(rows) for place in each)
    return rows


@st.composite
def prompts(draw):
    """Groups of prompts with a beginning of their own, some of which share a longer one; in any order."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=12))
    shared = draw(st.sampled_from(["", "t" * (STEPS[0] + 5)]))
    texts = [
        shared + f"{group:03d}" * STEPS[1] + draw(st.sampled_from(["", f" row {n}"]))
        for group, size in enumerate(sizes)
        for n in range(size)
    ]
    return draw(st.permutations(texts)), draw(st.integers(1, min(6, len(texts))))


@examples(max_examples=25)
@given(prompts())
def test_groups_stay_whole_and_shards_are_balanced(tmp_path_factory, drawn):
    """A group of at most a quarter of a mean shard is never cut; no shard is off the mean by more than half."""
    texts, count = drawn
    folder = tmp_path_factory.mktemp("shards")
    rows = cut(folder, texts, count)
    assert sorted(chain(*rows)) == list(range(len(texts)))
    assert all(each == sorted(each) for each in rows)
    mean = len(texts) / count
    assert all(mean / 2 - 1 <= len(each) <= mean * 1.5 + 1 for each in rows)
    group_of = [text.removeprefix("t" * (STEPS[0] + 5))[:3] for text in texts]
    where = {group: {n for n, each in enumerate(rows) if any(group_of[place] == group for place in each)}
             for group in set(group_of)}  # fmt: skip
    reach = len(texts) // (shards.REACH * count)
    sizes = Counter(group_of)
    assert all(len(where[group]) == 1 for group, size in sizes.items() if size <= reach)
    assert cut(folder, texts, count) == rows  # a `prepare` that was killed writes the same files again


def test_any_number_of_rows_gives_any_number_of_shards():
    for rows in range(1, 70):
        for count in range(1, rows + 1):
            ends = shards.cuts(iter([b"x"] * rows), rows, count)
            assert len(ends) == count
            assert all(after > before for before, after in pairwise([0, *ends])), (rows, count)


def test_what_neighbours_share_decides_where_to_cut(tmp_path):
    """Samples of an item, however short, share all of it; a long common beginning does not hide a shorter one."""
    samples = [f"question {n // 4}" for n in range(40)]
    rows = cut(tmp_path, samples, 5)
    assert [len({samples[place] for place in each}) for each in rows] == [2] * 5
    template = "t" * 3_000
    subjects = [template + f"subject {n % 2} " * 400 + str(n) for n in range(20)]
    rows = cut(tmp_path / "other", subjects, 2)
    assert sorted(rows) == [list(range(0, 20, 2)), list(range(1, 20, 2))]


def test_more_shards_than_rows_and_shards_over_the_limit_are_refused(tmp_path):
    with pytest.raises(UsageError, match="--shards 4: the batch has 3 rows"):
        cut(tmp_path, ["a", "b", "c"], 4)
    with pytest.raises(UsageError, match=r"a shard would have 5 rows, and \[limits.local\] allows 4"):
        cut(tmp_path, [str(n) for n in range(10)], 2, Limits(requests=4, file_bytes=1 << 30))
    assert list(tmp_path.iterdir()) == []


def test_prepare_cuts_and_refuses_before_anything_is_written(tmp_path):
    project = Project(tmp_path / "project")
    dataset(project.folder / "d.jsonl", count=6)
    before = project.files()
    assert "--shards 7: the batch has 6 rows" in project.refused(
        2, "prepare", *FLAGS, "--dataset", "d.jsonl", "--shards", 7
    )
    vendor = ("--provider", "openai", "--dataset", "d.jsonl", "--shards", 2)
    text = project.refused(2, "prepare", *vendor)
    assert "--shards 2: for --provider local, not for openai" in text
    assert "requests = N under [limits.openai]" in text
    assert project.files() == before
    report = project.ok("prepare", *FLAGS, "--dataset", "d.jsonl", "--shards", 3)
    assert report["files"] == [f"processed_files/b.part-00{n}.jsonl" for n in range(3)]
    assert not project.ok("prepare", *FLAGS, "--dataset", "d.jsonl")["new"]
    text = project.refused(2, "prepare", *FLAGS, "--dataset", "d.jsonl", "--shards", 2)
    assert "--shards 2: b is there already, in 3 shards" in text
    project.ok("ledger", "check")
    project.ok("delete", "b")
    assert project.files() == before
