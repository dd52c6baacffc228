"""batchflow: evaluates language and vision models through Batch APIs or on your own engine."""

__version__ = "0.2.0"
