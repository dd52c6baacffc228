#!/usr/bin/env python3
"""The name under which layton-eval's guide calls `get_model_performance`, with or without `python` before it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    program = Path(__file__).resolve().with_suffix("")
    os.execv(program, [str(program), *sys.argv[1:]])
