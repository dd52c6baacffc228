"""InternBootcamp's test files to its output tree: an engine of one's own, verifiers from a file, scores as theirs."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from helpers.commands import Project
from helpers.engine import serving

SUMS = ((1, 2), (3, 4), (5, 5))
VERIFIERS = """
class Sumbootcamp:
    @staticmethod
    def extract_output(output):
        return output.rpartition("[[")[2].partition("]]")[0] if "[[" in output else None
    @classmethod
    def _verify_correction(cls, solution, identity):
        return int(solution) == sum(identity["terms"])
class Wordbootcamp:
    def verify_score(self, output, identity, format_score=0, short_penalty=True):
        return 0.5 if identity in output else 0
"""
SAID = {"1 + 2": "<think>[[4]]? no.</think>So [[3]]", "3 + 4": "[[8]]", "5 + 5": "[[ten]]", "Say": "blue, I think"}


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path / "project")
    del made.environment["BATCHFLOW_TASK"]
    folder = made.folder / "bootcamp_eval"
    folder.mkdir()
    rows = [
        {"data_source": "Sum", "prompt": f"{a} + {b}? Put it in [[ ]].", "ground_truth": {"terms": [a, b]}}
        for a, b in SUMS
    ]
    (folder / "sum.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = {"data_source": "word", "prompt": "Say a colour.", "ground_truth": "blue"}
    (folder / "word.jsonl").write_text(json.dumps(words) + "\n")
    (made.folder / "verifiers.py").write_text(VERIFIERS)
    return made


def cells(book, sheet):
    """The cells of a sheet of a workbook, row by row."""
    import re

    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        shared = re.findall(r"<t[^>]*>(.*?)</t>", parts.read("xl/sharedStrings.xml").decode())
        page = parts.read(f"xl/worksheets/sheet{sheet}.xml").decode()
    found = []
    for row in re.findall(r"<row .*?>(.*?)</row>", page):
        values = re.findall(r'<c r="\w+"(?: s="\d+")?( t="s")?>(?:<v>(.*?)</v>)?', row)
        found.append([shared[int(text)] if kind else float(text) if text else None for kind, text in values])
    return found


def test_a_folder_of_their_files_goes_to_their_tree(project):
    with serving("r1/32B") as engine:
        engine.text = lambda body: next(said for asked, said in SAID.items() if asked in body["prompt"])
        project.ok(
            "prepare", "--name", "b", "--task", "internbootcamp", "--test-dir", "bootcamp_eval", "--provider", "local",
            "--base-url", engine.url, "--model", "r1/32B", "--mode", "completion", "--prompt-template", "chatml",
            "--max-tokens", 512, "--temperature", 0, "--concurrency", 2,
        )  # fmt: skip
        project.ok("start", "b")
        project.ok("get", "b", "--wait")
        asked = sorted(body["prompt"] for _, body in engine.calls)
    assert asked[0] == "<|im_start|>user\n1 + 2? Put it in [[ ]].<|im_end|>\n<|im_start|>assistant\n"
    project.ok("results", "b")
    jury = project.ok("jury", "b", "--verifier", "verifiers.py", "--start")
    assert [each["judge"] for each in jury["batches"]] == ["rule:verifiers.py"]
    score = project.ok("score", "b", "--by", "bootcamp")
    (row,) = score["batches"]
    assert (row["score"], row["n_judged"], row["votes_missing"]) == (0.5, 3, 1)

    report = project.ok("results", "b", "--layout", "internbootcamp")
    top = project.results / "internbootcamp"
    (tree,) = top.iterdir()
    assert tree.name.startswith("r1_32B_bootcamp_eval_20")
    assert sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()) == [
        "details/sum.jsonl", "details/word.jsonl", "eval_args.json", "meta.jsonl", "progress.log", "r1_32B_scores.xlsx",
    ]  # fmt: skip
    assert len(report["also"]) == 6
    details = [json.loads(line) for line in (tree / "details/sum.jsonl").read_text().splitlines()]
    assert [row["score"] for row in details] == [1.0, 0.0, None]  # an exception of the verifier is never 0
    assert [row["id"] for row in details] == [0, 1, 2]
    assert details[0] | {"error": None} == {
        "id": 0, "prompt": "1 + 2? Put it in [[ ]].", "output_len": 5, "score": 1.0, "extracted_output": "3",
        "ground_truth": {"terms": [1, 2]}, "output": "So [[3]]", "outcome": "ok", "error": None, "sample": 0,
    }  # fmt: skip
    assert [row["extracted_output"] for row in details] == ["3", "8", None]
    meta = [json.loads(line) for line in (tree / "meta.jsonl").read_text().splitlines()]
    assert meta == [
        {"bootcamp": "sum", "avg_score": 0.5, "avg_len": 5.0},
        {"bootcamp": "word", "avg_score": 0.5, "avg_len": 5.0},
    ]
    arguments = json.loads((tree / "eval_args.json").read_text())
    assert "api_key" not in arguments
    assert (arguments["model_name"], arguments["template"], arguments["max_concurrent_requests"]) == (
        "r1/32B",
        "chatml",
        2,
    )
    assert arguments["api_mode"] == "completion"
    book = (tree / "r1_32B_scores.xlsx").read_bytes()
    assert cells(book, 1) == [
        ["bootcamp", "Average Score", "Average Output Length"],
        ["sum", 0.5, 5.0], ["word", 0.5, 5.0], ["Total Average", 0.5, 5.0],
    ]  # fmt: skip
    assert [row[:4] for row in cells(book, 2)[1:]] == [
        ["sum", 3.0, 2.0, 0.5],
        ["word", 1.0, 1.0, 0.5],
        ["All items", 4.0, 3.0, 0.5],
    ]

    project.ok("results", "judge_b_by_rule_verifiers-py")
    why = project.rows("results/judge_b_by_rule_verifiers-py.jsonl")
    assert [row["error"] for row in why if row["error"]] == [
        "verifier_error: ValueError: invalid literal for int() with base 10: 'ten'"
    ]
    brought = project.ok(
        "import", "predictions", str(tree), "--dataset", "bootcamp_eval", "--task", "internbootcamp", "--name", "back"
    )
    assert (brought["model"], brought["outcomes"]) == ("r1/32B", {"ok": 4})


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"prompt": "p", "ground_truth": 1}, "bad.jsonl, line 1, field data_source: it is missing"),
        ({"data_source": "s", "prompt": " ", "ground_truth": 1}, "bad.jsonl, line 1, field prompt: a text is expected"),
        ({"data_source": "s", "prompt": "p"}, "bad.jsonl, line 1, field ground_truth: it is missing"),
    ],
)
def test_a_broken_row_is_named(project, row, why):
    (project.folder / "bootcamp_eval/bad.jsonl").write_text(json.dumps(row) + "\n")
    ask = ("prepare", "--task", "internbootcamp", "--test-dir", "bootcamp_eval", "--provider", "openai")
    assert why in project.refused(3, *ask)


def test_what_cannot_judge_is_refused_before_anything_is_written(project):
    project.ok(
        "prepare", "--name", "b", "--task", "internbootcamp", "--test-dir", "bootcamp_eval", "--provider", "openai"
    )
    (project.folder / "outputs.jsonl").write_text(
        json.dumps({"custom_id": "sum-0", "answer": "[[3]]", "model": "m"}) + "\n"
    )
    project.ok(
        "import",
        "predictions",
        "outputs.jsonl",
        "--dataset",
        "bootcamp_eval",
        "--task",
        "internbootcamp",
        "--name",
        "o",
    )
    assert "for verifiers; a model cannot judge by it" in project.refused(2, "jury", "o", "--judges", "openai:gpt-4o")
    assert "there is no such Python file" in project.refused(2, "jury", "o", "--verifier", "none.py:Sum")
    assert "there is no class Product" in project.refused(2, "jury", "o", "--verifier", "verifiers.py:Product")
    (project.folder / "batchflow.toml").write_text("[verifier]\ntimeout = 3\n")
    assert "[verifier] timeout: unknown" in project.refused(2, "jury", "o", "--verifier", "verifiers.py:Sumbootcamp")
