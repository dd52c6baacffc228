"""`batchflow run`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from batchflow.cli import completion
from batchflow.cli.app import App, shows
from batchflow.cli.commands.asking_flags import asking_flags
from batchflow.cli.commands.compass_flags import compass_flags, run_compass, taken
from batchflow.cli.commands.local_flags import engine_flags
from batchflow.cli.commands.options import FILE, Number, cluster, comma_separated, max_cost, refresh_after, verbose

STEPS = ("prepare", "start", "results", "retry", "jury", "score", "compare", "report")


@click.command("run")
@click.argument("file", type=FILE, required=False, metavar="[EVAL.toml|CFG.yaml]")
@compass_flags
@click.option("--provider", shell_complete=completion.provider, help="Provider of the models that name none.")
@click.option(
    "--model",
    "models",
    multiple=True,
    shell_complete=completion.judges,
    metavar="[PROVIDER:]MODEL",
    help="Model to evaluate; repeatable: each one is a batch.",
)
@asking_flags
@click.option(
    "--canary",
    type=click.IntRange(1),
    metavar="N",
    help="Send N requests of each batch first, and the rest only if all N were answered.",
)
@click.option(
    "--judges",
    multiple=True,
    callback=comma_separated,
    shell_complete=completion.judges,
    help="Judges as provider:model, separated by commas; repeatable; rules as rule:exact, ...",
)
@click.option(
    "--kind",
    shell_complete=completion.kind,
    metavar="NAME|FILE.toml",
    help="Judge kind, or the file of a rubric of your own.",
)
@click.option("--judge-template", type=FILE, help="Your own prompt template for judges.")
@click.option("--judge-samples", type=click.IntRange(1), help="Ask each judge N times (an odd number) [default: 1].")
@click.option(
    "--cascade",
    shell_complete=completion.rule,
    metavar="RULE",
    help="Rule that settles what it can prove; judges get the rest.",
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    help="Ask again up to N times for what failed for a passing reason, and for lost votes [default: 2].",
)
@click.option(
    "--precision",
    type=Number(0, 50, min_open=True, max_open=True),
    metavar="POINTS",
    help="Send in stages, and stop when the score is known to ± POINTS (docs/run.md).",
)
@click.option("--decide", is_flag=True, help="Send two models in stages, and stop when one of them is better.")
@click.option("--first-stage", type=click.IntRange(1), metavar="N", help="Items of the first stage [default: 50].")
@click.option("--order-seed", type=click.IntRange(0), metavar="N", help="Seed of the order of the items [default: 0].")
@click.option(
    "--this-data-set",
    is_flag=True,
    help="With --precision or --decide: of this data set alone, not of all such items. Takes fewer requests.",
)
@max_cost
@click.option("--field-name", "field", metavar="FIELD", help="Field to score.")
@click.option(
    "--by",
    multiple=True,
    shell_complete=completion.column,
    metavar="COLUMN",
    help="Also score each value of this column; repeatable.",
)
@cluster
@click.option("--until", type=click.Choice(STEPS), help="Last step to do [default: report].")
@click.option(
    "--detach", is_flag=True, help="Do what can be done now, and leave the rest to `tick` or to the same command later."
)
@refresh_after("Seconds between two polls of a vendor.")
@engine_flags
@verbose
@shows
def command(
    app: App,
    file: Path | None,
    provider: str | None,
    models: tuple[str, ...],
    detach: bool,
    refresh_after: float,
    **flags: Any,
) -> Any:
    """Do a whole evaluation: prepare, start, wait, results, retry, jury, retry lost votes, score, compare, report.

    The same command again goes on where it was stopped, whatever stopped it; nothing is sent twice. A file holds the same
    settings, and may list several models and values: each combination is a batch (docs/run.md). Flags override it.

    A file with task_name and datasets is a configuration of OpenCompass's kind: inference, evaluation and summary
    (docs/opencompass.md). `init-config` writes one.

    With --precision or --decide, items are sent in stages of a random order, and no more of them than are needed.

    Exit code: 0 done, 7 not finished (--detach), 6 needs you, else that of the error that a batch met.
    """
    from batchflow.cli.live.follower import follower
    from batchflow.steps.running.run import run
    from batchflow.steps.running.spec import read

    flags |= {"models": models, "provider": provider, "detach": detach}
    if (chosen := taken(flags, file=file)) is not None and file is not None:
        return run_compass(app, file, chosen, refresh_after)
    for name in ("models", "provider", "detach"):
        del flags[name]
    given = read(file) if file else {}
    given |= {name: value for name, value in flags.items() if value is not None and value is not False and value != ()}
    if models or provider:
        given["models"] = (
            [f"{provider}:{model}" for model in models] if provider and models else list(models) or [provider]
        )
    with closing(follower(app.context, app.speak, as_json=app.as_json)) as tell:
        ran = run(
            app.context, given, detach=detach, refresh_after_s=refresh_after, on_report=tell, on_prepared=tell.watch
        )
    return ran.report, ran.exit_code
