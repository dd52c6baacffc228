"""import outputs: a vendor's own output files, downloaded elsewhere, become a batch of answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from batchflow import batch_file, files
from batchflow.errors import DataError, UsageError
from batchflow.layouts.base import Brought
from batchflow.records import Json, Outcome, Response
from batchflow.steps.base.context import Context
from batchflow.steps.building.provider_choice import provider_named
from batchflow.steps.verbs.evaluation.import_predictions import ImportOptions, ImportReport, bring
from batchflow.texts import parsing
from batchflow.vendors import registry as vendors
from batchflow.vendors.base import Vendor


def outputs(context: Context, paths: Sequence[Path], options: ImportOptions) -> ImportReport:
    """Make a batch of output and error files. options.provider: whose format they have. The same files are a no-op.

    Raises DataError with file and line for what is no row of that vendor's output, and as `import predictions` does.
    """
    provider = provider_named(context.settings, options.provider or "")
    if not vendors.traits_of(provider).asks_models:
        raise UsageError(f"--provider {provider} has no output files", hint="name the vendor whose batch it was")
    vendor = vendors.get(provider, context.settings)
    options = replace(options, provider=provider)
    return bring(context, paths, options, lambda item_ids: _rows(paths, vendor, frozenset(item_ids)))


def _rows(paths: Sequence[Path], vendor: Vendor, item_ids: frozenset[str]) -> list[Brought]:
    """The rows of all files; samples of an item, which only ids of this program tell apart, in the order of these."""
    safe_ids = {batch_file.safe(item): item for item in item_ids}
    rows, ours = list[Brought](), dict[str, list[tuple[int, str, Response]]]()
    for where, response in _responses(paths, vendor):
        custom_id = str(response.custom_id)
        own = None if custom_id in item_ids else batch_file.item_of(custom_id)
        if own is None:
            rows.append(_brought(custom_id, 0, where, response))
        else:
            ours.setdefault(safe_ids.get(own[1], custom_id), []).append((own[0], where, response))
    for item, places in ours.items():
        ordered = sorted(places, key=lambda place: place[0])
        rows += [_brought(item, sample, where, response) for sample, (_, where, response) in enumerate(ordered)]
    return rows


def _responses(paths: Iterable[Path], vendor: Vendor) -> Iterator[tuple[str, Response]]:
    for path in paths:
        for number, row in files.objects(path):
            where = f"{path}, line {number}"
            try:
                response = parsing.decoded(row, vendor.decode)
            except Exception as error:  # noqa: BLE001 - a row of any shape
                raise _no_row(where, vendor, type(error).__name__) from None
            if not response.custom_id:
                raise _no_row(where, vendor, "it names no request")
            yield where, response


def _no_row(where: str, vendor: Vendor, why: str) -> DataError:
    return DataError(
        f"{where}: this is no row of {vendor.NAME}'s output ({why})",
        hint="--provider names the vendor whose batch it was; `import predictions` takes {custom_id, answer, model}",
    )


def _brought(item: str, sample: int, where: str, response: Response) -> Brought:
    row: Json = {
        "custom_id": item, "answer": response.text, "model": response.model, "id": response.row_id,
        "sample": sample, "outcome": response.outcome.value,
        **({"error": response.error} if response.error else {}),
    }  # fmt: skip
    text = response.text if response.outcome is Outcome.OK else None
    return Brought((item, sample), text, response.model or "", where, row, {})
