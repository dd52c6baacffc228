"""Card of `list`: a row a batch; the finished retries of a judge stand in its own row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchflow.cli.cards import money
from batchflow.cli.cards.base.card import Card, Column, table_of, title
from batchflow.cli.cards.base.text import counted

if TYPE_CHECKING:
    from batchflow.steps.base.money.billing import Cost
    from batchflow.steps.viewing.batch_list import ListReport, ListRow, SuiteLine


@dataclass(frozen=True, slots=True)
class Folded:
    """A batch with the retries that stand in its row."""

    batch: ListRow
    retries: tuple[ListRow, ...] = ()

    @property
    def cost(self) -> Cost:
        """Cost of all of them."""
        return sum((retry.cost for retry in self.retries), self.batch.cost)

    @property
    def requests(self) -> str:
        """Requests, those that were asked again, and the stage of a batch that is sent in stages."""
        batch, again = self.batch, sum(retry.requests for retry in self.retries)
        many = "retry" if len(self.retries) == 1 else "retries"
        texts = [f"{batch.requests:,}", f" + {again:,} in {len(self.retries)} {many}" if self.retries else ""]
        return "".join([*texts, f" (stage {batch.stages['made']} of {batch.stages['of']})" if batch.stages else ""])


_COLUMNS: tuple[Column[Folded], ...] = (
    Column("", lambda row: row.batch.handle),
    Column("name", lambda row: title(row.batch.name, row.batch.rehearsal)),
    Column("state", lambda row: row.batch.state),
    Column("requests", lambda row: row.requests),
    Column("cost", lambda row: money.cell(row.cost)),
    Column("created (UTC)", lambda row: row.batch.created_at[:16].replace("T", " ")),
)


_SUITES: tuple[Column[SuiteLine], ...] = (
    Column("suite", lambda suite: suite.name),
    Column("batches", lambda suite: counted(Counter(member.state for member in suite.members))),
    Column("requests", lambda suite: f"{suite.requests:,}"),
)


def listed(report: ListReport) -> Card:
    """The card."""
    count, rows = len(report.batches), _folded(report.batches)
    hidden = count - len(rows)
    many = (
        "1 finished retry of a judge stands in its judge's row"
        if hidden == 1
        else (f"{hidden} finished retries of judges stand in their judges' rows")
    )
    notes = (f"{many}; --parent JUDGE lists them",) if hidden else ()
    head = "1 batch" if count == 1 else f"{count} batches"
    below = table_of(_SUITES, report.suites)
    return Card(head, report.next, table=table_of(_COLUMNS, rows), notes=notes, below=below)


def _folded(batches: Sequence[ListRow]) -> tuple[Folded, ...]:
    """The batches, without the finished retries of judges that are among them."""
    judges = {batch.name for batch in batches if batch.kind == "judge" and batch.retries is None}
    retries: dict[str, list[ListRow]] = {}
    for batch in batches:
        if batch.retries in judges and batch.state == "finished":
            retries.setdefault(str(batch.retries), []).append(batch)
    hidden = {batch.name for several in retries.values() for batch in several}
    return tuple(Folded(batch, tuple(retries.get(batch.name, ()))) for batch in batches if batch.name not in hidden)
