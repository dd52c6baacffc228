# shellcheck shell=bash
# Shared by scripts/demo, scripts/test and scripts/check: a virtual environment with what they need. Sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

say() { printf '\n>> %s\n' "$*"; }

fail() { # fail STEP WHAT-TO-DO
  printf '\nbatchflow: this step failed: %s\n  what to do: %s\n' "$1" "$2" >&2
  exit 1
}

find_python() {
  for candidate in "${PYTHON:-}" python3.11 python3 python3.12 python3.13 python3.14 python; do
    [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$candidate"; return; }
  done
  return 1
}

# the distribution was called batchflow before: left there, its uninstall would take the command away from the new one
forget_old_name() {
  .venv/bin/python -P -c 'from importlib.metadata import distribution; distribution("batchflow")' 2>/dev/null || return 0
  say "removing this project's installation under its old name, batchflow"
  .venv/bin/python -m pip uninstall --quiet --yes --disable-pip-version-check batchflow ||
    fail "pip uninstall batchflow" "remove .venv and run this again"
}

# ready EXTRAS: .venv with this project and its EXTRAS, installed once for each state of pyproject.toml and constraints.txt
ready() {
  local extras=$1 python stamp
  if [ ! -x .venv/bin/python ]; then
    python=$(find_python) || fail "finding Python 3.11 or newer" "install it, or set PYTHON to its path"
    say "making a virtual environment in .venv with $("$python" --version)"
    "$python" -m venv .venv || fail "python -m venv .venv" "install your system's venv package (Debian: python3-venv)"
  fi
  stamp=.venv/.installed-$extras-$(cat pyproject.toml scripts/constraints.txt | cksum | cut -d' ' -f1)
  [ -f "$stamp" ] && return
  forget_old_name
  say "installing batchflow-eval[$extras] from the package registry"
  # an editable install warns about folder names that nobody can change
  PYTHONWARNINGS=ignore .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint scripts/constraints.txt --editable ".[$extras]" ||
    fail "pip install .[$extras]" "can this machine reach its package registry? try: .venv/bin/python -m pip download click"
  touch "$stamp"
}

# in_memory COMMAND...: runs it with temporary files in memory where 4 GB are free there: syncs, tens of thousands in a
# test run, cost a disk minutes
in_memory() {
  local free status=0
  free=$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }') || free=
  if [ "${free:-0}" -lt 4000000 ] || ! TMPDIR=$(mktemp -d /dev/shm/batchflow.XXXXXX); then
    "$@"
    return
  fi
  export TMPDIR
  trap 'rm -rf "$TMPDIR"' EXIT
  "$@" || status=$?
  return $status
}
