"""A project with two judged batches about the user's own questions, with pictures, errors, refusals and labels."""

from __future__ import annotations

import csv
import struct
import zlib
from pathlib import Path

from helpers.commands import Project
from helpers.jsonl import write

from batchflow.rehearsal import server
from batchflow.rehearsal.answers import Rule, oracle
from batchflow.rehearsal.fake_state import Pace
from batchflow.rehearsal.faults import Fault, Faults

ROWS = 36
HOSTILE = "<script>document.title='pwned'</script><img src=x onerror=alert(1)>"
JUDGES = "openai:gpt-5.4-mini,openai:gpt-5.4,openai:gpt-5.4-nano"
TOPICS = ("logic", "geometry", "counting")


def question(number: int) -> str:
    """The question of a row; one of them is markup."""
    return f"What is {number} and one?" if number != 7 else f"What is 7 and one? {HOSTILE}"


def png(width: int = 24, height: int = 16, colour: tuple[int, int, int] = (40, 120, 200)) -> bytes:
    """A picture of one colour."""
    line = b"\0" + bytes(colour) * width

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(line * height))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def dataset(folder: Path) -> Path:
    """A CSV of questions, every ninth with a picture beside it."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    path = folder / "questions.csv"
    with path.open("w", newline="", encoding="utf-8") as handle:
        out = csv.writer(handle)
        out.writerow(["id", "question", "reference", "picture", "topic"])
        for number in range(1, ROWS + 1):
            picture = f"pictures/{number}.png" if number % 9 == 0 else ""
            if picture:
                (folder / picture).write_bytes(png())
            out.writerow([f"q{number}", question(number), str(number + 1), picture, TOPICS[number % len(TOPICS)]])
    return path


def build(folder: Path, vendors: Path) -> Project:
    """Make the project: batch `a` (with errors and refusals) and batch `b`, both judged, `a` with a few labels."""
    project = Project(folder, {"BATCHFLOW_TASK": "qa"})
    dataset(project.folder)
    known = oracle((question(number), str(number + 1)) for number in range(1, ROWS + 1))
    rule = Rule(right=0.6, judge_error=0.12, oracle=known)
    broken = Fault("errors", "openai", "job", fraction=0.1, status=500, message="upstream <b>server</b> error 77")
    refusal = Fault("refusals", "openai", "job", nth=2, fraction=0.1)
    labels = [
        {"custom_id": f"q{n}", "human_answer_correct": n % 2 == 0, "provider": "openai", "model": "gpt-6-luna"}
        for n in range(12, 30)
    ]
    write(project.folder / "labels.jsonl", labels)
    made = f"prepare --provider openai --dataset {project.folder}/questions.csv --task qa"
    with server.running(vendors, rule=rule, faults=Faults([broken, refusal]), pace=Pace(1)) as running:
        project.environment.update(running.environment)
        batches = (("a", "gpt-6-luna"), ("b", "gpt-6-sol"))
        project.outside(
            *(f"{made} --model {model} --name {name}" for name, model in batches),
            *(f"{verb} {name}{flags}" for name, _ in batches for verb, flags in _STEPS),
            *(f"jury {name} --judges {JUDGES} --wait --refresh-after 0" for name, _ in batches),
            f"import labels {project.folder}/labels.jsonl",
        )
    return project


_STEPS = (("start", ""), ("get", " --wait --refresh-after 0"), ("results", ""))
