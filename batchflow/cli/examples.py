"""Examples at the end of each command's --help; a test holds that each of them can be typed."""

from __future__ import annotations

import click

EXAMPLES: dict[str, tuple[str, ...]] = {
    "prepare": (
        "batchflow prepare --provider openai --dataset questions.csv --map question=q,reference=gold",
        "batchflow prepare --provider local --split llm --hints 2 --limit 40",
        "batchflow prepare --provider local --split llm --shards 8",
        "batchflow prepare --suite suite.toml --name bench --provider openai",
    ),
    "estimate": ("batchflow estimate @last", "batchflow estimate --suite suite.toml --provider openai"),
    "start": ("batchflow start @3 --canary 20", "batchflow start --all", "batchflow start @3 --jobs 2"),
    "get": ("batchflow get @last", "batchflow get openai anthropic --wait"),
    "results": ("batchflow results @3", "batchflow results openai anthropic --json"),
    "jury": (
        "batchflow jury @last --judges gemini,anthropic:claude-sonnet-5-5 --wait",
        "batchflow jury @last --judges rule:exact,rule:numeric --wait",
        "batchflow jury @last --retry --wait",
    ),
    "score": (
        "batchflow score",
        "batchflow score @3 --by category --field-name is_correct",
        "batchflow score @3 @8 --bias --report-text",
        "batchflow score --suite bench --output bench.csv",
    ),
    "compare": ("batchflow compare @3 @8", "batchflow compare openai anthropic --cluster source"),
    "plan": (
        "batchflow plan @3 --precision 2 --difference 5 --label-cost 0.5",
        "batchflow plan --score 80 --stability 0.7 --judge-error 5",
    ),
    "rank": ("batchflow rank verdicts.jsonl", "batchflow rank @3 @8 @9 --method newman"),
    "init-config": (
        "batchflow init-config my_run --api-server http://127.0.0.1:23333 --judger-server http://127.0.0.1:8000 -d gpqa",
    ),
    "run": (
        "batchflow run --provider openai --dataset questions.csv --map question=q,reference=gold",
        "batchflow run eval.toml --until results",
        "batchflow run eval.toml --detach",
        "batchflow run cfg.yaml --mode eval --work-dir outputs --reuse latest",
        "batchflow run eval.toml --precision 2 --max-cost 5",
    ),
    "workers": ("batchflow workers", "batchflow workers --json"),
    "watch": ("batchflow watch", "batchflow watch @3 @8 --refresh-after 60"),
    "tick": ("batchflow tick", "*/10 * * * * cd /srv/evaluation && batchflow tick --refresh-after 0"),
    "arena run": ("batchflow arena run -c cfg_arena.yaml --dry-run", "batchflow arena run -c cfg_arena.yaml"),
    "arena report": ("batchflow arena report -c cfg_arena.yaml -o battles.html",),
    "arena prepare": ("batchflow arena prepare -c cfg_arena.yaml",),
    "arena start": ("batchflow arena start -c cfg_arena.yaml",),
    "arena get": ("batchflow arena get -c cfg_arena.yaml --wait",),
    "arena results": ("batchflow arena results -c cfg_arena.yaml",),
    "arena jury": ("batchflow arena jury -c cfg_arena.yaml --start",),
    "arena rate": ("batchflow arena rate -c cfg_arena.yaml --method bt",),
    "list": ("batchflow list --state running", "batchflow list --kind judge --sort name"),
    "show": ("batchflow show @last", "batchflow show @3 --items --wrong --limit 5"),
    "report": ("batchflow report @3", "batchflow report @3 @8 --output report.html --by topic"),
    "export": ("batchflow export @3 --to inspect", "batchflow export @3 --to parquet"),
    "labels sheet": ("batchflow labels sheet @3 --n 50 --format html",),
    "retry": ("batchflow retry @3", "batchflow retry @3 --also unparsed --max-tokens 8000"),
    "import predictions": ("batchflow import predictions answers.jsonl --provider openai --dataset questions.csv",),
    "import outputs": ("batchflow import outputs answers.jsonl --provider openai --dataset questions.csv",),
    "import requests": ("batchflow import requests requests.jsonl --provider openai",),
    "import labels": ("batchflow import labels labels.jsonl --batch @3",),
    "cancel": ("batchflow cancel @3",),
    "update": ('batchflow update @3 --title "GPT-6, two hints"',),
    "delete": ("batchflow delete @3", "batchflow delete openai_gpt-6-luna_llm_hints_2 --remote"),
    "doctor": ("batchflow doctor", "batchflow doctor --ping"),
    "init": ("batchflow init", "batchflow --project evaluation init"),
    "rehearse": (
        "batchflow rehearse -- batchflow run eval.toml",
        "batchflow rehearse --certify http://gateway:8080/v1 --certify-model qwen3-32b",
        "batchflow rehearse --dataset questions.csv --map question=q,reference=gold -- batchflow get @last --wait",
    ),
    "engine install": ("batchflow engine install",),
    "engine list": ("batchflow engine list",),
    "engine serve": (
        "batchflow engine serve --port 8000",
        "batchflow engine serve --engine vllm --model Qwen/Qwen3-8B",
    ),
    "engine stop": ("batchflow engine stop",),
    "pool add": ("batchflow pool add http://gpu3:8000/v1",),
    "pool remove": ("batchflow pool remove http://gpu3:8000/v1",),
    "pool list": ("batchflow pool list",),
    "ledger upgrade": ("batchflow ledger upgrade",),
    "ledger check": ("batchflow ledger check",),
    "ledger backup": ("batchflow ledger backup backup.db",),
    "ledger copy": ("batchflow ledger copy --to postgresql+psycopg://user@host/batchflow",),
    "completion": ("batchflow completion bash",),
}
"""By the command's words, so that `--help` of the program needs none of them."""


def add_to(command: click.Command, words: str) -> None:
    """Give a command, and those below it, their examples."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            add_to(below, f"{words} {name}")
    elif (lines := EXAMPLES.get(words)) and command.epilog is None:
        command.epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
