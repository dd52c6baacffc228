"""`scripts/bench growth`: what a step costs a request at 10,000 requests, at a tenth of the most and at the most."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from bench_work import (
    INSIDE,
    MODELS,
    PREPARE,
    PYTHON,
    RULES,
    answer_all,
    batchflow,
    child,
    environment,
    project,
    read_back,
    table,
)

EMPTY, FIRST = 40, 10_000
AFTER = (
    ("jury", "b", "--judges", RULES, "--start"),
    ("score", "b"),
    ("score", "b"),
    ("report", "b"),
    ("ledger", "check"),
    ("ledger", "backup", "backup.db"),
)
LOOKS = (("list",), ("get", "b"), ("show", "b"))

Cost = tuple[float, float]  # CPU seconds, peak RSS in MiB


def bench_growth(n: int) -> str:
    """Steps at growing sizes: time and memory a request; commands that look at the ledger; bytes a request."""
    sizes = sorted({FIRST, max(FIRST, n // 10), n})
    looks: dict[int, dict[str, float]] = {}
    steps: dict[int, dict[str, Cost]] = {}
    disk: dict[str, float] = {}
    for size in (EMPTY, *sizes):
        with project(size) as folder:
            steps[size], looks[size] = _run(folder, size)
            disk = _bytes_a_request(folder, size)
            if size > EMPTY:
                steps[size]["`delete`"] = batchflow(folder, "delete", "b")
    return "\n\n".join([_steps_table(steps, sizes), _looks_table(looks, sizes), _disk_table(disk, n)])


def _run(folder: Path, size: int) -> tuple[dict[str, Cost], dict[str, float]]:
    """The cost of each step, and CPU seconds of each look at what it left."""
    seconds, peak = child(folder, PREPARE, "openai", MODELS["openai"])
    steps = {"prepare": (seconds, peak / 1024)}
    looks = _look(folder, "prepared")
    if size > EMPTY:
        steps["`start`"] = _start(size)
    answer_all(folder, "openai")
    outcomes, results, peak = read_back(folder, "openai")
    (folder / "saved.db").unlink()
    steps |= {"outcomes": (outcomes, peak / 1024), "results file": (results, peak / 1024)}
    looks |= _look(folder, "answered")
    for words in AFTER:
        again = f"`{words[0]}`" in steps
        label = f"`{words[0]}` again" if again else f"`{' '.join(words[:2] if words[0] == 'ledger' else words[:1])}`"
        steps[label] = batchflow(folder, *words)
    return steps, looks | _look(folder, "judged")


def _look(folder: Path, state: str) -> dict[str, float]:
    """CPU seconds of commands that look at a ledger, medians of 3."""
    return {
        f"`{words[0]}`, {state}": statistics.median(batchflow(folder, *words)[0] for _ in range(3)) for words in LOOKS
    }


def _start(n: int) -> Cost:
    """A `start` that uploads n requests to a rehearsed OpenAI on loopback."""
    with project(n) as folder:
        command = [PYTHON, "-m", "batchflow", "rehearse", "--folder", str(folder / "vendor"), "--"]
        command += [PYTHON, str(Path(__file__).with_name("bench")), "--inside"]
        done = subprocess.run(
            command, cwd=folder, env=environment(**{INSIDE: "1"}), capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stderr)
        seconds, peak = (float(word) for word in done.stdout.split()[-2:])
        return seconds, peak


def inside() -> None:
    """Prints what a `start` takes, inside `batchflow rehearse`."""
    folder, model = Path.cwd(), ("--provider", "openai", "--model", MODELS["openai"])
    batchflow(folder, "prepare", *model, "--task", "riddles", "--dataset", "data.jsonl", "--name", "b")
    print(*batchflow(folder, "start", "b"))


def _bytes_a_request(folder: Path, n: int) -> dict[str, float]:
    """Bytes on the disk for each request, by what they hold."""
    totals = dict.fromkeys(("request files", "raw outputs", "results file", "votes of three rules", "ledger"), 0.0)
    for path in folder.rglob("*"):
        if not path.is_file() or path.name in {"data.jsonl", "backup.db"}:
            continue
        place = path.relative_to(folder).parts
        if path.name.startswith("batchflow.db"):
            kind = "ledger"
        elif place[0] == "processed_files":
            kind = "votes of three rules" if "jury" in str(path.relative_to(folder)) else "request files"
            kind = "raw outputs" if path.name.endswith(".output.raw") and kind == "request files" else kind
        else:
            kind = "results file" if path.name == "b.jsonl" else "votes of three rules"
        totals[kind] += path.stat().st_size / n
    return totals


def _steps_table(steps: dict[int, dict[str, Cost]], sizes: list[int]) -> str:
    """Time and memory of each step at each size; a ratio is the last size's to that of the first."""
    head = ["step (OpenAI)", *(f"µs a request at {size:,}" for size in sizes), "last / middle"]
    head += [*(f"MiB at {size:,}" for size in sizes), "last / first"]
    rows = []
    for step in steps[sizes[0]]:
        micro = [steps[size][step][0] / size * 1e6 for size in sizes]
        peaks = [steps[size][step][1] for size in sizes]
        times = [*(f"{x:.1f}" for x in micro), f"{micro[-1] / micro[-2]:.2f}"]
        rows.append([step, *times, *(f"{x:.0f}" for x in peaks), f"{peaks[-1] / peaks[0]:.2f}"])
    return table(head, rows)


def _looks_table(looks: dict[int, dict[str, float]], sizes: list[int]) -> str:
    """CPU seconds of whole commands that look at a ledger."""
    head = ["whole process, CPU s", f"{EMPTY} requests", *(f"{size:,}" for size in sizes), "last / first"]
    rows = []
    for verb in looks[EMPTY]:
        seconds = [looks[size][verb] for size in (EMPTY, *sizes)]
        rows.append([verb, *(f"{x:.2f}" for x in seconds), f"{seconds[-1] / seconds[0]:.2f}"])
    return table(head, rows)


def _disk_table(disk: dict[str, float], n: int) -> str:
    """Bytes on the disk for each of n requests."""
    rows = [[name, f"{size:,.0f}"] for name, size in (*disk.items(), ("all", sum(disk.values())))]
    return table([f"on the disk, at {n:,}", "bytes a request"], rows)
