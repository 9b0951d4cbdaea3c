#!/usr/bin/env bash
# Evaluates the vanilla and a pruned model, writes the report, and lets the gate decide: its exit code is this script's.
#   bash examples/ci.sh FOLDER [GATE_CONFIG]
set -euo pipefail
examples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:?name a folder for the results}
config=$(realpath "${2:-$examples/gate.yaml}")

mkdir -p "$folder"
# The embedded model and dataset, under the names that the real ones have; leave this out to evaluate the real ones.
[ -e "$folder/MLLMMU" ] || lmms-manu lay-out --output "$folder"
cd "$folder"

lmms-manu evaluate --suite mllmu --quiet --model_args prune_rate=0,forget_ratio=10 --output results/vanilla
lmms-manu evaluate --suite mllmu --quiet --model_args recipe=ratio,prune_rate=10,forget_ratio=10 --output results/ratio-10
lmms-manu report vanilla=results/vanilla ratio-10=results/ratio-10 --baseline vanilla --output report
lmms-manu gate --config "$config" --junit report/gate.xml vanilla=results/vanilla ratio-10=results/ratio-10
