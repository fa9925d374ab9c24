#!/usr/bin/env bash
# All Python tests. Those on Kafka wait for brokers most of their time, so the others run beside them.
set -euo pipefail
cd "$(dirname "$0")/.."
python="$PWD/.venv/bin/python"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

"$python" -m pytest -q tests/python/kafka >"$log" 2>&1 &
kafka=$!
failed=0
"$python" -m pytest -q --ignore tests/python/kafka || failed=1
wait "$kafka" || failed=1
echo "tests/python/kafka:"
cat "$log"
"$python" tests/vectors/run.py tests/vectors || failed=1
exit "$failed"
