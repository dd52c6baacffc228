# shellcheck shell=bash
# Shared by scripts/demo, scripts/test and scripts/check: a virtual environment with what they need. Sourced, not run.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

say() { printf '\n>> %s\n' "$*"; }

fail() { # fail STEP WHAT-TO-DO
  printf '\nbatchflow: this step failed: %s\n  what to do: %s\n' "$1" "$2" >&2
  exit 1
}

# doing TITLE COMMAND...: runs it hidden, and says what it is at and for how long (scripts/narrate)
doing() {
  local title=$1 python
  shift
  python=$(find_python) || fail "finding Python 3.11 or newer" "install it, or set PYTHON to its path"
  "$python" scripts/narrate --hide --title "$title" "$@"
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
    doing "making a virtual environment in .venv with $("$python" --version)" "$python" -m venv .venv ||
      fail "python -m venv .venv" "install your system's venv package (Debian: python3-venv)"
  fi
  stamp=.venv/.installed-$extras-$(cat pyproject.toml scripts/constraints.txt | cksum | cut -d' ' -f1)
  [ -f "$stamp" ] && return
  say "installing batchflow-eval[$extras] from the package registry (once)"
  forget_old_name
  # an editable install warns about folder names that nobody can change
  PYTHONWARNINGS=ignore doing "" \
    .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off \
    --constraint scripts/constraints.txt --editable ".[$extras]" ||
    fail "pip install .[$extras]" "can this machine reach its package registry? try: .venv/bin/python -m pip download click"
  touch "$stamp"
}

# axe-core, by which a test looks at the report's page: a wheel that carries it, without the driver that it depends on
AXE=axe-playwright-python==0.1.8

# browser_ready: axe-core, and a Chromium for the report's tests, brought by apt where we may; fails where there is none
browser_ready() {
  .venv/bin/python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("axe_playwright_python") is None)' ||
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps "$AXE" ||
    fail "pip install --no-deps $AXE" "can this machine reach its package registry?"
  [ -z "${BATCHFLOW_TEST_BROWSER:-}" ] || return 0
  for candidate in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$candidate" >/dev/null 2>&1 && return 0
  done
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 || return 1
  doing "installing chromium, which the report's tests need" bash -c \
    'apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium' &&
    command -v chromium >/dev/null 2>&1
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
  # what a test killed may still write for a moment: leftovers in memory are no failure of the tests
  trap 'rm -rf "$TMPDIR" 2>/dev/null || { sleep 2; rm -rf "$TMPDIR" || :; }' EXIT
  "$@" || status=$?
  return $status
}
