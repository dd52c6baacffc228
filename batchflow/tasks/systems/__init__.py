"""Tasks in the formats of the systems that batchflow replaces."""
