"""Reports that write themselves: items while they are read, so that their number does not matter, and plain sentences."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from batchflow import files
from batchflow.cli.cards import items
from batchflow.cli.cards.base.text import clean
from batchflow.cli.cards.batches import document
from batchflow.cli.typed import Typed

if TYPE_CHECKING:
    from batchflow.steps.viewing.listing import ItemsReport


@dataclass(frozen=True, slots=True)
class Streamed:
    """Items on their way to stdout."""

    report: ItemsReport
    as_csv: bool = False

    def write(self, out: TextIO, speak: Typed, *, as_json: bool) -> None:
        """Write the items in the form that was asked for; no more of them where the reader has gone (`| head`)."""
        try:
            if self.as_csv:
                items.write_csv(self.report, out)
            elif as_json:
                items.write_json(self.report, out, speak)
            else:
                items.write_text(self.report, out, speak)
            out.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # what is left in its buffer goes nowhere


@dataclass(frozen=True, slots=True)
class Sentences:
    """A report as sentences for a paper; as a document it has them beside its own keys."""

    report: Any
    text: str
    rehearsed: bool = False

    def write(self, out: TextIO, speak: Typed, *, as_json: bool) -> None:
        """Write the sentences, or the document with them."""
        if as_json:
            printed = speak.document(document(self.report), rehearsed=self.rehearsed)
            out.write(files.dumps({**printed, "report_text": self.text}).decode() + "\n")
        else:
            out.write("\n".join(map(clean, self.text.split("\n"))))
