"""import requests: a file in a vendor's own form, written elsewhere, becomes a batch that can be started.

What is asked is sent as the file has it. Only the custom_id differs: on the wire it has to be salted, so that a
create whose answer was lost can be found again; the id in the file is the item's, and that is the one in the results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from batchflow import files
from batchflow.errors import DataError, UsageError
from batchflow.judges import riddle
from batchflow.ledger.records import BROUGHT, BatchRecord, RequestRecord
from batchflow.records import Json, Kind, Params
from batchflow.settings import VENDORS
from batchflow.steps.base.context import Context
from batchflow.steps.base.options import BroughtOptions, source_of, split_of, task_of
from batchflow.steps.building.asks import Ask
from batchflow.steps.building.batch_builder import Plan, make
from batchflow.steps.building.names import free_name
from batchflow.steps.building.provider_choice import provider_named, refuse_anothers_model
from batchflow.steps.building.sources import request_file
from batchflow.steps.verbs.submission.prepare import PrepareReport, report_of
from batchflow.tasks import registry as tasks
from batchflow.tasks.base import Source, Task
from batchflow.vendors import registry as vendors
from batchflow.vendors.base import RowForm
from batchflow.vendors.shared.row_forms import fault

_FEW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions(BroughtOptions):
    """The flags of `import requests`. provider: whose form the requests have."""

    provider: str


@dataclass(frozen=True, slots=True)
class Survey:
    """A file that was read once. places: item -> (offset, length) of its line. model, endpoint: as the rows say."""

    places: Mapping[str, tuple[int, int]]
    model: str | None
    endpoint: str | None
    renamed: bool


def bring(context: Context, path: Path, options: RequestOptions) -> PrepareReport:
    """Make the batch. The same file twice is a no-op.

    Raises DataError with file and line for rows that are not the vendor's, that ask for several models, or that are
    about items which the data set does not have; UsageError for a judge's file and where no model is named.
    """
    task = task_of(context, options.task, options.dataset)
    split = split_of(context, task, options.split)
    source = source_of(context, task, split, options.dataset, options.map)
    provider = provider_named(context.settings, options.provider)
    vendor = vendors.get(provider, context.settings)
    form, endpoints = vendor.LINE, vendor.ENDPOINTS
    survey = _survey(path, form)
    if survey.endpoint not in {None, *endpoints}:
        raise DataError(f"{path}: its url {survey.endpoint} is none of {', '.join(endpoints)}")
    model = _model(path, options.model, survey.model)
    refuse_anothers_model(context.settings, provider, model)
    template = request_file(path)
    build = make(
        context,
        Plan(
            name=free_name(context, path, options.name, (context.settings.processed, context.settings.results)),
            kind=Kind.PREDICTION,
            provider=provider,
            model=model,
            endpoint=survey.endpoint or endpoints[0],
            task=task.NAME,
            split=split,
            hints=options.hints,
            source=source,
            template=template,
            params=Params(),
            can=context.settings.capabilities(provider, model),
            extra={BROUGHT: template.sha256, **tasks.recorded(task)},
            notes=_notes(path, survey),
        ),
        _asks(path, form, survey, task, source, split),
    )
    return report_of(context, build)


def asks_again(context: Context, batch: BatchRecord, due: Iterable[RequestRecord]) -> Iterator[Ask]:
    """The due requests of such a batch as its file has them; the caller has checked that the file is the same."""
    task, path = tasks.of_spec(batch.task, batch.spec), Path(batch.template)
    form = vendors.get(batch.provider, context.settings).LINE
    places = _survey(path, form, sent_before=True).places
    with path.open("rb") as handle:
        for request in due:
            line = _line(handle, form, places[request.item_id])
            columns = request.groups
            yield Ask(request.item_id, "", (), task.ANSWER, request.sample, columns, request.id, line=line)


def _asks(path: Path, form: RowForm, survey: Survey, task: Task, source: Source, split: str) -> Iterator[Ask]:
    """One request per line, in the order of the data set, as judges will read both side by side.

    Raises DataError for lines about items that the data set does not have.
    """
    left = dict(survey.places)
    with path.open("rb") as handle:
        for item in task.items(source, split):
            if (place := left.pop(item.id, None)) is not None:
                yield Ask(item.id, "", (), task.ANSWER, 0, task.columns(item), line=_line(handle, form, place))
    if left:
        raise DataError(
            f"{path}: {len(left)} of its {len(survey.places)} requests are about items that {source.location} does not "
            f"have in split {split}: {', '.join(list(left)[:_FEW])}",
            hint="name the data set that they ask about with --task, --dataset and --split",
        )


def _line(handle: BinaryIO, form: RowForm, place: tuple[int, int]) -> Json:
    handle.seek(place[0])
    line: Json = files.loads(handle.read(place[1]).removeprefix(b"\xef\xbb\xbf"))
    return form.renewed(line)


def _survey(path: Path, form: RowForm, *, sent_before: bool = False) -> Survey:
    """Read the file once. sent_before: the vendor has judged its rows already. Raises DataError, UsageError."""
    places: dict[str, tuple[int, int]] = {}
    models, urls, renamed = set[str](), set[str](), False
    spans = ((offset, length) for offset, length, line in files.lines(path) if line.strip(b"\xef\xbb\xbf \t\r"))
    for (number, line), span in zip(files.objects(path), spans, strict=True):
        where = f"{path}, line {number}"
        item, content = _checked(line, form, where)
        if not sent_before:
            _refuse_faulty(line, form, where)
        if item in places:
            raise DataError(f"{where}: item {item} is asked about twice", hint="leave one of the lines")
        places[item] = span
        models |= {content["model"]} if isinstance(content.get("model"), str) else set()
        urls |= {line["url"]} if form.has_url else set()
        renamed |= form.renewed(line) is not line
    for what, values in (("model", models), ("url", urls)):
        if len(values) > 1:
            raise DataError(f"{path} asks for several {what}s: {', '.join(sorted(values))}", hint="one file for each")
    return Survey(places, next(iter(models), None), next(iter(urls), None), renamed)


def _checked(line: Json, form: RowForm, where: str) -> tuple[str, Json]:
    """(item, what is asked) of a line. Raises DataError for a line of another vendor, UsageError for a judge's."""
    item, content = line.get(form.id), line.get(form.asked)
    if not isinstance(item, str) or not item or not isinstance(content, dict):
        forms = ((name, vendors.get(name).LINE) for name in VENDORS)
        alike = [name for name, other in forms if other.id in line and other.asked in line]
        raise DataError(
            f"{where}: it has no {form.id} (a text) with a {form.asked} (an object), as this provider's requests do",
            hint=f"it looks like --provider {' or '.join(alike)}" if alike else "import predictions reads answers",
        )
    if form.has_url and not isinstance(line.get("url"), str):
        raise DataError(f"{where}, field url: it is missing", hint="for example /v1/chat/completions")
    if riddle.is_question(str(content)):
        raise UsageError(
            f"{where}: this is a question to a judge",
            hint="batchflow import predictions RESULTS_FILE, then batchflow jury NAME asks the judges anew",
        )
    return item, content


def _refuse_faulty(line: Json, form: RowForm, where: str) -> None:
    """Raise DataError for what the vendor would refuse once the batch has been accepted."""
    problem = fault(form, line, line["url"] if form.has_url else None) or _two_formats(line[form.asked])
    if problem is not None:
        raise DataError(
            f"{where}, field {problem[0]}: {problem[1]}; the vendor would refuse this only after it accepted the batch",
            hint=f"change the file, see {form.source}",
        )


def _two_formats(content: Json) -> tuple[str, str] | None:
    """The field and its fault where a line of Anthropic's names its schema by the old and the new word, and unlike."""
    if "output_format" not in content or "output_config" not in content:
        return None
    config = content["output_config"]
    if not isinstance(config, dict):
        return "params.output_config", "it is not an object"
    if config.get("format", content["output_format"]) != content["output_format"]:
        return "params.output_format", "it is not what output_config.format says, and only one of them can be meant"
    return None


def _model(path: Path, chosen: str | None, file_model: str | None) -> str:
    if chosen and file_model and chosen != file_model:
        raise UsageError(
            f"{path} asks for {file_model}, not for {chosen}", hint=f"--model {file_model}, or leave it out"
        )
    if model := chosen or file_model:
        return model
    raise UsageError(f"{path} does not say which model is asked", hint="name it with --model")


def _notes(path: Path, survey: Survey) -> tuple[str, ...]:
    note = f"requests imported from {path.name}: sent as they are there, under custom_ids of this batch"
    renamed = "output_format was moved to output_config.format, as the vendor has called it since"
    return (note, renamed) if survey.renamed else (note,)
