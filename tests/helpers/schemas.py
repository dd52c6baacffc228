"""Makes docs/schemas/ from the reports' own types: a JSON schema of what each command prints with --json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from batchflow.ledger.core import LedgerReport
from batchflow.score.bias import Bias
from batchflow.steps.arena.browser import ArenaPageReport
from batchflow.steps.arena.flow import AnswerFile, RateReport
from batchflow.steps.collecting.fetch import ResultsReport
from batchflow.steps.collecting.progress_report import GetReport
from batchflow.steps.compass.flow import CompassReport
from batchflow.steps.compass.init import InitConfigReport
from batchflow.steps.judging.jury_report import JudgeBatch, JuryReport
from batchflow.steps.judging.labels.import_labels import LabelReport
from batchflow.steps.running.run import RunReport
from batchflow.steps.running.tick import TickReport
from batchflow.steps.suites.compare import SuiteComparison
from batchflow.steps.suites.members import ShownBatches, SuiteReport
from batchflow.steps.suites.table import SuiteScore
from batchflow.steps.verbs.evaluation.compare import CompareReport
from batchflow.steps.verbs.evaluation.import_predictions import ImportReport
from batchflow.steps.verbs.evaluation.plan import PlanReport
from batchflow.steps.verbs.evaluation.rank import RankReport
from batchflow.steps.verbs.evaluation.score import BatchScore, ScoreReport
from batchflow.steps.verbs.maintenance.delete import CancelReport, DeleteReport
from batchflow.steps.verbs.maintenance.doctor import DoctorReport
from batchflow.steps.verbs.maintenance.init import InitReport
from batchflow.steps.verbs.maintenance.update import UpdateReport
from batchflow.steps.verbs.submission.estimate import EstimateReport
from batchflow.steps.verbs.submission.prepare import PrepareReport
from batchflow.steps.verbs.submission.retry import RetryReport
from batchflow.steps.verbs.submission.start import StartReport
from batchflow.steps.viewing.batch_list import ListReport
from batchflow.steps.viewing.export import ExportReport
from batchflow.steps.viewing.report import ReportReport
from batchflow.steps.viewing.sheet import SheetReport
from batchflow.steps.watching.report import WatchReport
from batchflow.steps.workers.certifying.certify import CertifyReport
from batchflow.steps.workers.engines import (
    EngineInstallReport,
    EngineListReport,
    EngineServeReport,
    EngineStopReport,
)
from batchflow.steps.workers.hosts import WorkersReport
from batchflow.steps.workers.pool import PoolReport

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
Schema = dict[str, Any]

SEVERAL = {
    "start": StartReport,
    "get": GetReport,
    "results": ResultsReport,
    "retry": RetryReport,
    "cancel": CancelReport,
    "export": ExportReport,
    "labels-sheet": SheetReport,
    "arena-prepare": PrepareReport,
    "arena-results": AnswerFile,
}
"""Commands about any number of batches: `batches`, and what to type next about them all."""
REPORTS = {
    "prepare": PrepareReport,
    "estimate": EstimateReport,
    "run": RunReport,
    "doctor": DoctorReport,
    "init": InitReport,
    "tick": TickReport,
    "watch": WatchReport,
    "compare": CompareReport,
    "plan": PlanReport,
    "rank": RankReport,
    "list": ListReport,
    "show": ShownBatches,
    "suite": SuiteReport,
    "run-config": CompassReport,
    "init-config": InitConfigReport,
    "report": ReportReport,
    "update": UpdateReport,
    "delete": DeleteReport,
    "import-predictions": ImportReport,
    "import-outputs": ImportReport,
    "import-requests": PrepareReport,
    "import-labels": LabelReport,
    "ledger": LedgerReport,
    "arena-rate": RateReport,
    "arena-report": ArenaPageReport,
    "engine-install": EngineInstallReport,
    "engine-list": EngineListReport,
    "engine-serve": EngineServeReport,
    "engine-stop": EngineStopReport,
    "pool": PoolReport,
    "workers": WorkersReport,
    "rehearse-certify": CertifyReport,
}
_PLAIN: dict[Any, Schema] = {
    str: {"type": "string"}, int: {"type": "integer"}, float: {"type": "number"}, bool: {"type": "boolean"},
    NoneType: {"type": "null"}, Any: {}, object: {}, Path: {"type": "string"},
}  # fmt: skip


def schemas() -> dict[str, Schema]:
    """The schema of each command by the name of its file."""
    made = {name: _object(_members(report)) for name, report in REPORTS.items()}
    made |= {name: _several(report) for name, report in SEVERAL.items()}
    made |= {"score": _score(), "jury": _jury(), "show-items": _items(), "error": _error()}
    table = {key: one for key, one in _members(SuiteComparison).items() if key not in {"merged", "notes", "next"}}
    made["compare"]["properties"] |= {"suite": _table(table), "report_text": _of(str)}  # the last with --report-text
    made["compare"]["required"] += ["suite"]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {name: {**head, "title": name.replace("-", " "), **schema} for name, schema in sorted(made.items())}


def write() -> None:
    """Write docs/schemas/ anew."""
    FOLDER.mkdir(exist_ok=True)
    made = schemas()
    for path in FOLDER.glob("*.json"):
        if path.name.removesuffix(".schema.json") not in made:
            path.unlink()
    for name, schema in made.items():
        (FOLDER / f"{name}.schema.json").write_text(text(schema), "utf-8")


def text(schema: Schema) -> str:
    """A schema as its file holds it."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def closed(schema: Any) -> Any:
    """The schema without room for keys that it does not name: what is printed has to be in it."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **made} if isinstance(schema.get("properties"), dict) else made


def _of(kind: Any) -> Schema:
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    if parts := get_args(kind):
        return _of_parts(get_origin(kind), parts)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [one.value for one in kind]}
    if hasattr(kind, "to_json"):  # it says itself what its document holds
        return {"type": "object"}
    if is_dataclass(kind):
        return _object(_members(kind))
    raise TypeError(kind)


def _of_parts(origin: Any, parts: Sequence[Any]) -> Schema:
    if origin in {Union, UnionType}:
        return _either([_of(part) for part in parts])
    if issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(parts[1])}
    if issubclass(origin, Sequence | frozenset):
        return {"type": "array", "items": _of(parts[0])}
    raise TypeError(origin)


def _either(options: list[Schema]) -> Schema:
    """One list of types where that is all that they say."""
    if all(set(option) == {"type"} for option in options):
        return {"type": [option["type"] for option in options]}
    return {"anyOf": options}


def _members(kind: Any) -> dict[str, Schema]:
    hints = get_type_hints(kind, localns={"Bias": Bias})  # loaded by no step, for the sake of a quick start
    return {one.name: _of(hints[one.name]) for one in fields(kind)}


def _object(members: dict[str, Schema], *, needed: Sequence[str] | None = None) -> Schema:
    return {"type": "object", "properties": members, "required": list(members if needed is None else needed)}


def _several(report: Any) -> Schema:
    return _object({"batches": _rows(_object(_members(report))), "next": _of(str)})


def _rows(row: Schema) -> Schema:
    return {"type": "array", "items": row}


def _jury() -> Schema:
    """`batches` are the judge batches, `juries` what is known of each judged batch."""
    jury, judge = _members(JuryReport), _members(JudgeBatch) | {"parent": _of(str)}
    del jury["batches"]
    return _object({"batches": _rows(_object(judge)), "juries": _rows(_object(jury)), "next": _of(str)})


def _table(members: dict[str, Schema]) -> Schema:
    """The table of a suite, or null for batches."""
    return {"anyOf": [_object(members), _of(NoneType)]}


def _items() -> Schema:
    """`show --items`. What an item holds is told in docs/report.md."""
    texts = _of(tuple[str, ...])
    members = {"name": _of(str), "rehearsal": _of(bool), "field": _either([_of(str), _of(NoneType)]), "judges": texts}
    members |= {"items": _rows({"type": "object"}), "more": _of(bool), "notes": texts, "next": _of(str)}
    return _object(members)


def _score() -> Schema:
    own, top, table = _members(BatchScore), _members(ScoreReport), _members(SuiteScore)
    del own["score"]
    suite = _table({key: value for key, value in table.items() if key not in top})
    number = _either([_of(float), _of(NoneType)])
    row = {**dict.fromkeys(("score", "ci_low", "ci_high"), number), **own}
    # what else a score says depends on its judge kind
    rows = _rows(_object(row, needed=list(own)) | {"additionalProperties": True})
    members = {**top, "batches": rows, "suite": suite}
    return _object({**members, "report_text": _of(str)}, needed=list(members))


def _error() -> Schema:
    members = {name: _of(str) for name in ("class", "message", "hint")} | {"exit_code": _of(int)}
    return _object({"error": _object(members)})
