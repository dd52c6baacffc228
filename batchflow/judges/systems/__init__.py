"""Judge kinds of the systems that batchflow replaces: their grammars, without their guesses."""
