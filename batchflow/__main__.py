"""`python -m batchflow` is the command `batchflow`, `main` its entry: it hears Ctrl-C before anything is loaded."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. Ctrl-C, or a limit of the shell, that meets the imports is told without a traceback."""
    try:
        from batchflow.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("batchflow: interrupted before it did anything\n  what to do: type the same command again\n")
        sys.exit(130)
    except OSError as error:
        sys.stderr.write(f"batchflow: it cannot be loaded: {error}\n  what to do: is this shell limited (ulimit -a)?\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
