"""Python imports this at its start when its folder is on PYTHONPATH; see cutter.py."""

import cutter

cutter.from_environment()
