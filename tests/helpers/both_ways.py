"""Every row that a test reads the fast way is read the tolerant way as well, and both have to say the same."""

from __future__ import annotations

from dataclasses import astuple, fields

from batchflow import files
from batchflow.ledger.records import SettledRecord
from batchflow.records import Outcome, Parsed, Usage
from batchflow.texts import parsing, thoughts
from batchflow.vendors import registry


def as_plain(response):
    """A response in the form of `row_shapes.Plain`; None for one that is no plain answer."""
    if response is None or response.outcome is not Outcome.OK or response.error is not None:
        return None
    used = response.usage
    tokens = astuple(used) if used else (None,) * len(fields(Usage))
    return response.custom_id, response.text, response.model, response.row_id, response.finish, tokens


def agreeing(read, name):
    """A fast reader that compares each of its rows with the tolerant one, unless its text holds thoughts."""

    def compared(line):
        plain = read(line)
        if plain is not None and thoughts.behind(plain[1]) is plain[1]:
            assert as_plain(parsing.read_row(line.rstrip(b"\n"), registry.get(name).decode)) == plain
        return plain

    return compared


def agreeing_answers(is_strict, schema):
    """A fast check of answers that compares each that it lets pass with `parsing.parse`."""

    def compared(text):
        passes = is_strict(text)
        if passes:
            assert parsing.parse(text, schema).parsed is Parsed.STRICT
            assert thoughts.behind(text) is text
        return passes

    return compared


def compare_all(patch):
    """Let every fast reader of this process compare itself."""
    from batchflow.steps.base import answer_form
    from batchflow.steps.base.raw_reader import RawReader

    plain_reader, strict_answers = registry.plain_reader, registry.strict_answers

    def reader(name):
        read = plain_reader(name)
        return None if read is None else agreeing(read, name)

    def answers(schema):
        is_strict = strict_answers(schema)
        return None if is_strict is None else agreeing_answers(is_strict, schema)

    raw_reader = RawReader.plain

    def plain(self, row, custom_id):
        read = raw_reader(self, row, custom_id)
        if read is not None:
            response, original = self.original(SettledRecord._make(row))
            assert as_plain(response) == read[0]
            assert files.dumps(original) == files.dumps(files.spliced(read[1]))
        return read

    patch.setattr(RawReader, "plain", plain)
    patch.setattr(registry, "plain_reader", reader)
    patch.setattr(answer_form, "strict_answers", answers)
