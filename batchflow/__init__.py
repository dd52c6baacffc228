"""batchflow: evaluate language and vision models through Batch APIs, and believe the score."""

__version__ = "0.1.0"
