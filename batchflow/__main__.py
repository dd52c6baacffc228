"""`python -m batchflow` is the `batchflow` command."""

from batchflow.cli.main import main

if __name__ == "__main__":
    main()
