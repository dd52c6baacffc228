# shellcheck shell=bash
# Shared by the scripts that take the flags of layton-eval: where batchflow is, and how flags are read. Sourced, not run.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

wrong() { # wrong TEXT: the command line makes no sense
  printf '%s: %s\n  usage: %s\n' "$(basename "$0")" "$1" "$usage" >&2
  exit 2
}

batchflow() { # the one on the path, else the one that scripts/test or scripts/demo installed beside this folder
  local program
  program=$(type -P batchflow) || program=$here/../.venv/bin/batchflow
  [ -x "$program" ] || {
    printf 'batchflow is not installed\n  what to do: %s\n' "$here/demo, or pip install $(dirname "$here")" >&2
    exit 1
  }
  "$program" "$@"
}
