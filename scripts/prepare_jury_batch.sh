#!/usr/bin/env bash
# layton-eval's command of this name: one judge batch per panel member, ready for `batchflow start NAME`.
set -euo pipefail
. "$(dirname "$0")/as_before.sh"
usage="$(basename "$0") --results-file-path results/NAME.jsonl"

path=""
while [ $# -gt 0 ]; do
  case $1 in
    --results-file-path)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      path=$2
      shift 2
      ;;
    --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
    -h | --help)
      echo "usage: $usage"
      exit 0
      ;;
    *) wrong "unknown option $1" ;;
  esac
done
[ -n "$path" ] || wrong "--results-file-path is missing"
batchflow jury "$path"
