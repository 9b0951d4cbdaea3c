#!/usr/bin/env bash
# Evaluates the vanilla and an edited model, writes the report, and lets the gate decide: its exit code is this script's.
#   bash examples/ci.sh FOLDER [GATE_CONFIG]
set -euo pipefail
examples=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:?name a folder for the results}
config=$(realpath "${2:-$examples/gate.yaml}")

mkdir -p "$folder"
# The embedded model and dataset, under the names that the real ones have; leave this out to evaluate the real ones.
[ -e "$folder/MLLMMU" ] || lmms-manu lay-out --output "$folder"
cd "$folder"

lmms-manu evaluate --suite mllmu --quiet --model-args method=none,forget_ratio=10 --output results/vanilla
lmms-manu evaluate --suite mllmu --quiet --model-args method=erase,forget_ratio=10 --output results/erase
lmms-manu report vanilla=results/vanilla erase=results/erase --baseline vanilla --output report
lmms-manu gate --config "$config" --junit report/gate.xml vanilla=results/vanilla erase=results/erase
