"""Rules that single benchmarks bring: deterministic, and usable for any other data of the same form."""
