#!/usr/bin/env bash
# layton-eval's command of this name: writes the requests of one model, ready for `batchflow start NAME`, and
# raw_files/, which hold them in no vendor's format.
# The task is batchflow's own (riddles) unless BATCHFLOW_TASK or [prepare] in batchflow.toml says otherwise;
# BATCHFLOW_TASK=layton takes layton-eval's data set from the model hub.
set -euo pipefail
. "$(dirname "$0")/as_before.sh"
usage="$(basename "$0") --split llm|vlm --hints 0..4 --provider NAME --model NAME [--max-tokens N] [--thinking-level WORD] [--thinking-budget N]"

split="" hints="" provider="" model="" max_tokens="" thinking_level="" thinking_budget="" flags=()
while [ $# -gt 0 ]; do
  case $1 in
    --split | --hints | --provider | --model | --max-tokens | --thinking-level | --thinking-budget)
      [ $# -ge 2 ] || wrong "$1 needs a value"
      flags+=("$1" "$2")
      word=${1#--}
      printf -v "${word//-/_}" %s "$2"
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
for flag in split hints provider model; do
  [ -n "${!flag}" ] || wrong "--$flag is missing"
done
case $thinking_budget in *[!0-9]*) wrong "--thinking-budget: $thinking_budget is not a whole number" ;; esac

# As layton-eval named it, thinking included: two settings of one model are two batches.
name="${provider}_${model//[^A-Za-z0-9-]/-}_${split}_hints_${hints}"
if [ -n "$thinking_level" ]; then
  name+="_thinking_$thinking_level"
elif [ -n "$thinking_budget" ] && [ "$thinking_budget" != 0 ]; then
  thousands=0 # found without arithmetic: there the shell would run what a word like a[$(...)] holds
  [ ${#thinking_budget} -le 3 ] || thousands=${thinking_budget%???}
  name+="_thinking_${thousands}k"
elif [ "$thinking_budget" = 0 ] || [ "$provider" = anthropic ]; then
  name+="_nothinking"
fi
batchflow prepare --name "$name" "${flags[@]}"
raw="raw_files/benchmark_${split}_hints_$hints${max_tokens:+_max_tokens_$max_tokens}.jsonl"
batchflow export "$name" --to raw --output "$raw" >/dev/null
