"""The site of docs/, built by scripts/docs: every warning is an error, and nothing is fetched."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from batchflow import __version__

project = "batchflow"
author = "the batchflow authors"
release = version = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["schemas"]
nitpicky = True
myst_heading_anchors = 4  # links to headings, as GitHub makes their anchors
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
html_title = f"batchflow {version}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
suppress_warnings = ["misc.highlighting_failure"]  # a diagram is shown as its source
