"""`batchflow jury`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.local_flags import local_flags
from batchflow.cli.commands.options import FILE, comma_separated, max_cost, refresh_after


@click.command("jury")
@click.argument("target", metavar="RESULTS.jsonl|NAME", shell_complete=completion.results_or_batches)
@click.option(
    "--judges",
    multiple=True,
    callback=comma_separated,
    shell_complete=completion.judges,
    help="Judges as provider:model, separated by commas; repeatable. Rules: rule:exact, rule:normalised, rule:numeric, ...",
)
@click.option(
    "--verifier",
    "verifiers",
    multiple=True,
    metavar="FILE.py[:CLASS]",
    help="Judge with a verifier class of your own (docs/verifiers.md); the same as rule:FILE.py:CLASS in --judges.",
)
@click.option(
    "--kind",
    shell_complete=completion.kind,
    metavar="NAME|FILE.toml",
    help="Judge kind: correctness, riddle, letters, rating, preference, or a file of your own (docs/jury.md).",
)
@click.option(
    "--extract-base",
    is_flag=True,
    help="Judge what a base model said before it went on with the next question; the same as --extract base_model_cut.",
)
@click.option("--template", type=FILE, help="Your own prompt template for judges.")
@click.option(
    "--extract",
    multiple=True,
    metavar="NAME,...",
    help="Extractors in place of the batch's own, e.g. boxed,last_number (docs/extract.md). Nothing is asked again.",
)
@click.option(
    "--samples",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Ask each judge N times (an odd number); its vote is the majority.",
)
@click.option(
    "--cascade",
    metavar="RULE",
    shell_complete=completion.rule,
    help="Rule that settles what it can prove: exact, normalised, numeric, choice or mixeval. Judges get the rest.",
)
@click.option("--retry", "again", is_flag=True, help="Ask the same judges again, for lost votes only.")
@click.option(
    "--max-tokens", type=click.IntRange(1), help="With --retry: new token limit, for votes that were cut off."
)
@click.option("--start", "starts", is_flag=True, help="Also send the judge batches.")
@click.option("--wait", "waits", is_flag=True, help="Send the judge batches and wait for their votes.")
@max_cost
@refresh_after("With --wait: seconds between two polls of a vendor.")
@local_flags
@shows
def command(
    app: App,
    target: str,
    judges: tuple[str, ...],
    verifiers: tuple[str, ...],
    kind: str | None,
    template: Path | None,
    extract: tuple[str, ...],
    extract_base: bool,
    samples: int,
    cascade: str | None,
    again: bool,
    max_tokens: int | None,
    starts: bool,
    waits: bool,
    max_cost: float | None,
    refresh_after: float,
    **flags: Any,
) -> Any:
    """Prepare one judge batch per judge.

    The judges come from --judges, else from the pool in the settings, without the evaluated model's own vendor.
    Without any vendor's key, rules judge the answers. The local flags apply to judges named local:MODEL.
    """
    from batchflow.errors import UsageError
    from batchflow.steps.base.suites import named
    from batchflow.steps.building.local_options import LocalFlags
    from batchflow.steps.verbs.evaluation.jury import jury
    from batchflow.steps.verbs.evaluation.jury_retry import retry_votes

    extract = (*extract, "base_model_cut") if extract_base else extract
    chosen = [*judges, *(f"rule:{text}" for text in verifiers)]
    local = LocalFlags.taken(flags)
    if max_cost is not None and not (starts or waits):
        raise UsageError("--max-cost goes with --start or --wait", hint="nothing is sent without them")
    if again:
        if chosen or kind or template or cascade or samples != 1 or local.given:
            raise UsageError("--retry asks the same judges the same questions", hint="leave the other options out")
        reports = [
            retry_votes(app.existing, name, max_tokens=max_tokens, extract=extract)
            for name in named(app.existing, [target])
        ]
    elif max_tokens is not None:
        raise UsageError("--max-tokens goes with --retry", hint="batchflow jury NAME --retry --max-tokens N")
    else:
        rule = cascade.removeprefix("rule:") if cascade else None
        way: dict[str, Any] = {"samples": samples, "cascade": rule, "kind": kind, "extract": extract}
        reports = [jury(app.context, name, chosen, template, local, **way) for name in named(app.context, [target])]
    if not (starts or waits):
        return reports
    from batchflow.cli.live.follower import follower
    from batchflow.steps.verbs.evaluation import jury_run

    reports = [jury_run.send(app.context, report, max_cost=max_cost) for report in reports]
    if waits:
        with closing(follower(app.context, app.speak, as_json=app.as_json)) as tell:
            reports = [
                jury_run.await_votes(app.context, report, refresh_after_s=refresh_after, on_report=tell)
                for report in reports
            ]
    return reports
