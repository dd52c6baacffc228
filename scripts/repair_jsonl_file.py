#!/usr/bin/env python3
"""The name under which layton-eval's guide repairs a results file by hand; here there is nothing to do by hand.

batchflow repairs answers and verdicts whenever it reads them, counts them, and keeps the original. This tells how the
rows of a file would be read, and changes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from batchflow import files
from batchflow.errors import BatchflowError
from batchflow.judges import riddle
from batchflow.layouts.layton import answer_text
from batchflow.records import Json, Schema
from batchflow.tasks import registry
from batchflow.texts import parsing, thoughts

WORDS = {
    "strict": "as they have to be",
    "repaired": "read after a repair (code fences, text around the JSON, a lost bracket, booleans as texts, LaTeX)",
    "unparsed": "not readable: counted as unparsed, never guessed; `batchflow retry NAME --also unparsed` asks again",
    "empty": "without an answer: counted as missing",
}


def read_as(row: Json, schemas: Sequence[Schema | None]) -> str:
    """Classifies the answer of a row as batchflow reads it: one of WORDS."""
    text = answer_text(row)
    if text is None:
        return "empty"
    answer = thoughts.behind(text)
    best = min(
        (list(WORDS).index(parsing.parse(answer, schema).parsed.value) for schema in schemas if schema), default=2
    )
    return list(WORDS)[best]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file-path", type=Path, required=True, help="a results or judge file (JSON Lines)")
    path = parser.parse_args().file_path
    task = registry.get("riddles")
    try:
        counts = Counter(read_as(row, (task.ANSWER, riddle.SCHEMA)) for _, row in files.objects(path))
    except (BatchflowError, OSError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 3
    print(f"{path}: {sum(counts.values())} rows; nothing was changed, batchflow repairs while it reads")
    for word, meaning in WORDS.items():
        if counts[word]:
            print(f"  {counts[word]:>6} {meaning}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
