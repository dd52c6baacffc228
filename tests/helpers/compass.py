"""OpenCompass's caches on a small scale, a model that answers them, and a judge that speaks as CompassVerifier does."""

from __future__ import annotations

import base64
import csv
import json
import pickle
import re
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa

AIME = [("What is 6 times 7?", "42"), ("What is 2 to the 10?", "1024"), ("What is 5 choose 2?", "10")]
IFEVAL = ["Write it without commas.", "Say it plainly."]
GPQA = ["Which is a metal?", "Which is a gas?"]
MMLU = [("math", "1 + 1?"), ("history", "Who came first?"), ("math", "2 + 2?")]


def caches(folder: Path) -> dict[str, str]:
    """Write the data of the guide's tasks in the shapes that they have there; returns the variables that name them."""
    data = folder / "compass/data"
    for name in ("aime2025", "gpqa", "mmlu_pro/data", "ifeval"):
        (data / name).mkdir(parents=True)
    _jsonl(data / "aime2025/aime2025.jsonl", [{"question": question, "answer": answer} for question, answer in AIME])
    with (data / "gpqa/gpqa_diamond.csv").open("w", newline="") as out:
        names = ["Correct Answer", *(f"Incorrect Answer {n}" for n in (1, 2, 3))]
        table = csv.writer(out)
        table.writerow([*(f"Before {n}" for n in range(7)), "Question", *names, "Explanation"])
        for question in GPQA:
            table.writerow([*range(7), question, "right", "wrong one", "wrong two", "wrong three", "because"])
    _jsonl(
        data / "ifeval/input_data.jsonl",
        [
            {"key": n, "prompt": text, "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"num_words": None}]}
            for n, text in enumerate(IFEVAL)
        ],
    )
    rows = [
        {"question_id": n, "question": question, "options": ["left", "right", "N/A"], "answer": "B", "answer_index": 1,
         "cot_content": "", "category": category, "src": "own"}
        for n, (category, question) in enumerate(MMLU)
    ]  # fmt: skip
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist(rows), data / "mmlu_pro/data/test-00000-of-00001.parquet")
    hub = folder / "hub/cais___hle/default/0.0.0/0123456789"
    hub.mkdir(parents=True)
    hle = pa.Table.from_pylist([
        {"id": str(n), "question": f"Hard {n}?", "image": "" if n % 2 else "data:image/png;base64,AA==", "answer": "7",
         "answer_type": "exactMatch", "category": "Math"}
        for n in range(4)
    ])  # fmt: skip
    with pa.OSFile(str(hub / "hle-test.arrow"), "wb") as sink, pa.ipc.new_stream(sink, hle.schema) as stream:
        stream.write_table(hle)
    return {"COMPASS_DATA_CACHE": str(folder / "compass"), "HF_DATASETS_CACHE": str(folder / "hub")}


def _jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def reply(body: dict[str, Any]) -> str:
    """The model: knows two of three sums, the metal and not the gas, and half of MMLU-Pro; it thinks aloud first."""
    (asked,) = [message["content"] for message in body["messages"]]
    text = asked if isinstance(asked, str) else asked[0]["text"]
    thoughts = "<think>Is it A? ANSWER: A</think>"
    if "final answer within" in text:
        known = next((answer for question, answer in AIME[:2] if question in text), "6")
        return f"{thoughts}So it is \\boxed{{{known}}}."
    if text in IFEVAL:
        return "Fine" if text == IFEVAL[0] else "Well, fine"
    letter = re.search(r"^([A-D])[.)] right$", text, re.MULTILINE)
    assert letter is not None, text
    if "metal" in text or "1 + 1" in text:
        return f"{thoughts}Clear.\nANSWER: {letter[1]}"
    return f"{thoughts}I think it is {'left' if 'first' in text else 'right'}, the option."


def verdict(body: dict[str, Any]) -> str:
    """CompassVerifier: one letter, or letter and word; it sees the answer without thoughts, and no JSON schema."""
    text = "\n".join(
        message["content"] if isinstance(message["content"], str) else message["content"][0]["text"]
        for message in body["messages"]
        if message["role"] == "user"
    )
    assert "think>" not in text
    assert "response_format" not in body
    if "boxed{6}" in text:
        return "C: INVALID"
    standard = re.search(r"Standard answer: (.*)", text)
    assert standard is not None, text
    if standard[1] in "ABCD":
        return "A" if "it is right" in text or f"ANSWER: {standard[1]}" in text else "INCORRECT"
    return "A" if f"boxed{{{standard[1]}}}" in text else "B"


ECHO, DOUBLE = "Print the sum of each line.", "Double a list."
SUMS = "for line in __import__('sys').stdin:\n    print(sum(map(int, line.split())))\n"
STARTER = "class Solution:\n    def twice(self, values: List[int], times: int) -> List[int]:\n        "
TWICE = STARTER + "return [times * v for v in values]\n"


def problems(folder: Path) -> None:
    """LiveCodeBench's two kinds of problems, with private tests as JSON and in its packed form."""
    place = folder / "compass/data/code_generation_lite"
    place.mkdir(parents=True)
    more = packed([{"input": "5\n", "output": "5.0", "testtype": "stdin"}])
    one = {"input": "1 2\n3 4\n", "output": "3\n7\n", "testtype": "stdin"}
    two = {"input": "[1, 2]\n2", "output": "[2, 4]", "testtype": "functional"}
    shared = {
        "question_title": "t",
        "platform": "leetcode",
        "difficulty": "easy",
        "contest_date": "2025-01-04T00:00:00",
    }
    _jsonl(
        place / "test6.jsonl",
        [
            {"question_content": ECHO, "question_id": "abc1", "starter_code": "", "metadata": "{}", **shared,
             "public_test_cases": json.dumps([one]), "private_test_cases": more},
            {"question_content": DOUBLE, "question_id": "2917", "starter_code": STARTER, **shared,
             "metadata": json.dumps({"func_name": "twice"}), "public_test_cases": json.dumps([two]),
             "private_test_cases": json.dumps([two | {"input": "[]\n3", "output": "[]"}])},
        ],
    )  # fmt: skip


def packed(tests: Any) -> str:
    """Tests in the form of LiveCodeBench's private ones."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(tests)))).decode()


def programs(body: dict[str, Any]) -> str:
    """The model: knows the sums, and doubles only once asked a second time in vain."""
    text = body["messages"][0]["content"]
    text = text if isinstance(text, str) else text[0]["text"]
    program = SUMS if ECHO in text else TWICE.replace("times * v", "v")
    return f"<think>```python\nexit()\n```</think>First:\n```python\npass\n```\nNow:\n```python\n{program}```\nDone."
