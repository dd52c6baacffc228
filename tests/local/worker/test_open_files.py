import subprocess
import sys

import pytest


def limit_after(hard, *connections):
    """The limit that a process has afterwards, whose shell gave it 64 and allows it `hard`."""
    code = (
        "import resource, sys; from batchflow.local.worker import open_files;"
        "open_files.allow(int(sys.argv[1]), kept=int(sys.argv[2]));"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    command = ["/bin/sh", "-c", f'ulimit -Sn 64; ulimit -Hn {hard}; exec "$@"', "sh", sys.executable, "-c", code]
    done = subprocess.run([*command, *map(str, connections)], capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("connections", "kept", "limit"),
    [
        (10, 10, 106),
        (100, 400, 496),  # four endpoints: each may keep as many as it had
        (100, 1200, 1000),  # as many as are allowed: idle ones are closed by their servers sooner or later
        (400, 100, 496),  # --per-endpoint below its share
    ],
)
def test_the_limit_is_raised_as_far_as_needed_and_allowed(connections, kept, limit):
    assert limit_after(1000, connections, kept) == limit


def test_a_window_that_the_machine_does_not_allow_is_refused():
    said = limit_after(200, 150, 150)
    assert said.endswith("EngineError: --concurrency 150 needs 246 open files, and this machine allows 200")
