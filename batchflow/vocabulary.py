"""Words that layers which do not know one another have to spell alike: one home for each, and nothing else.

The vendor `local` and the worker meet in a job's folder, and nowhere else; the command line shows defaults without
importing the steps that use them.
"""

from __future__ import annotations

JOBS = ".local"
"""The folder of local jobs, in `processed_files/`; one folder each, named by the job's token."""

SPEC, OUTPUT, PROGRESS, ENGINE = "spec.json", "output.jsonl", "progress.json", "engine.json"
STOP, LOCK, SPAWNED, LOG = "stop", "lock", "spawned", "worker.log"
"""The files in a job's folder; `local.job.job_dir` says what is in them."""

QUEUED, LOADING, RUNNING, STOPPED = "queued", "loading", "running", "stopped"
COMPLETED, CANCELLED, FAILED = "completed", "cancelled", "failed"
"""A worker's words for where its job stands; the vendor `local` has a phase for each."""

CANCELLED_ROW = "batch_cancelled"
"""The error code of a row that was cancelled, with OpenAI's vendors and with the worker."""

PACE = frozenset(
    {
        *("base_url", "base_urls", "concurrency", "per_endpoint", "rps", "tpm", "timeout_s", "retries", "backoff_s"),
        *("backoff_cap_s", "outage_s", "wait_for_s", "wait_interval_s", "cache", "threads", "max_gpu_memory"),
        *("replicas", "gpus", "ray_address"),
    }
)
"""Options that say how a batch is worked off and where, and nothing of what is asked: they may change at any time."""

WORKER_OPTIONS = PACE | {"engine", "serve", "mode", "template", "gguf", "context", "engine_args"}
"""The options of a batch that concern its worker; `local.base.options` says what they mean."""

SPEED = ("rows_per_s", "tokens_per_s", "eta_s", "retries", "in_flight")
"""Keys of a worker's report of its speed."""

EMBEDDED_MODEL = "smollm2-135m-instruct"
"""The small default model of the embedded engine."""

REFRESH_S = 10.0
"""Default of `--refresh-after`: seconds after which a vendor's last answer is asked for again."""

IN_TURN = "waits for its turn"
"""Begins the note on a local job that another batch of its suite goes before."""

FLAGGED = 100
"""Most answers that `show` lists for a person to look at, because they seem to address the judge."""

SHARDS = "shards"
"""The key of a local batch's options that holds the number of its shards, of which a host takes one at a time."""

FREE_WORKER = "a worker that is free"
"""The thing that parts of a batch wait for where a host takes a part at a time."""
