#!/usr/bin/env bash
# layton-eval's command of this name: one judge batch per panel member, ready for `batchflow start NAME`.
# A results file of layton-eval's own is imported first. Its name says whose answers to what it holds, as layton-eval
# wrote it; flags win over the name. The answers are taken to be to layton-eval's data set, unless --task, --dataset or
# BATCHFLOW_TASK says otherwise.
set -euo pipefail
. "$(dirname "$0")/as_before.sh"
usage="$(basename "$0") --results-file-path results/NAME.jsonl [--provider NAME] [--model NAME] [--task NAME] [--dataset FILE] [--split llm|vlm] [--hints N]"

path="" provider="" model="" task="" dataset="" split="" hints=""
while [ $# -gt 0 ]; do
  case $1 in
    --results-file-path)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      path=$2
      shift 2
      ;;
    --provider | --model | --task | --dataset | --split | --hints)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      printf -v "${1#--}" %s "$2"
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

name=$(basename -- "$path" .jsonl)
if [ ! -f "$path" ] || batchflow list --json 2>/dev/null | grep -qF "\"name\":\"$name\""; then
  batchflow jury "$path" # a batch of the ledger; for what is neither, it says what to do
  exit
fi

if [[ $name =~ ^(benchmark_)?([a-z]+)_.+_(llm|vlm)_hints_([0-9]+)(_.*)?$ ]]; then
  provider=${provider:-${BASH_REMATCH[2]}} split=${split:-${BASH_REMATCH[3]}} hints=${hints:-${BASH_REMATCH[4]}}
  [ -n "$dataset" ] || task=${task:-${BATCHFLOW_TASK:-layton}}
fi
[ -z "$dataset" ] || task=${task:-${BATCHFLOW_TASK:-riddles}} # a data set of one's own would be plain questions else
flags=()
for flag in provider model task dataset split hints; do
  [ -z "${!flag}" ] || flags+=("--$flag" "${!flag}")
done
echo "importing $path ${flags[*]}" >&2
report=$(batchflow import predictions "$path" ${flags[@]+"${flags[@]}"} --json) || {
  code=$?
  printf '%s\n' "$report" >&2
  exit "$code"
}
batchflow jury "$(sed -n 's/.*"name":"\([^"]*\)".*/\1/p' <<<"$report")"
