"""An HF engine in a process that has little memory left. Run by check_hf.py: short_of_memory.py MODEL SPARE_MIB ROWS,
ROWS being [[characters of the prompt, tokens to generate], ...] as JSON.

The model is loaded and warmed up, then the kernel is told to grant so many MiB more and nothing beyond them; 0 sets no
limit. The last line that is printed is JSON: the answers in the order they came as [index, status, text], the halvings,
and the budget that was left.
"""

import json
import resource
import sys
from pathlib import Path

from batchflow.local.offline import hf
from batchflow.local.offline.base import Config


def request(text, most):
    return {"messages": [{"role": "user", "content": text}], "max_tokens": most}


def limit(spare_mib):
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (spare_mib << 20), resource.RLIM_INFINITY))


def answers(engine):
    told = []
    while engine.busy:
        for answer in engine.step():
            said = answer.body.get("choices") or [{"message": {"content": answer.body.get("error", {}).get("message")}}]
            told.append([answer.index, answer.status, said[0]["message"]["content"]])
    return told


def main():
    model, spare_mib, rows = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
    engine = hf.load(Config("hf", model, {"batch_tokens": "1000000", "batch_rows": "1000"}, None, 1000))
    hf.READ_TOKENS["cpu"] = 1_000_000  # all prompts at once, as a GPU would
    engine.add(0, request("warm", 8))
    answers(engine)
    if spare_mib:
        limit(spare_mib)
    for index, (length, most) in enumerate(rows):
        engine.add(index, request("x" * length, most))
    sys.stdout.write(json.dumps({"answers": answers(engine), "halvings": engine.halvings, "budget": engine.budget}))


if __name__ == "__main__":
    main()
