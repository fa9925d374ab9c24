#!/usr/bin/env bash
# Python tests against a core with AddressSanitizer and UndefinedBehaviorSanitizer; leaks of the core's own memory end
# it with an error. (What Python objects hold is seen by tests/python/test_leaks.py itself.)
#   scripts/sanitized_python.sh [TEST ...]
set -euo pipefail
cd "$(dirname "$0")/.."
python="$PWD/.venv/bin/python"
cmake --preset asan --log-level=WARNING -DWRACKLINE_PYTHON=ON -DPython_EXECUTABLE="$python"
cmake --build --preset asan --target _core

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r python/wrackline "$work/"
rm -f "$work"/wrackline/_core*.so
cp build/asan/cpp/bindings/_core*.so "$work/wrackline/"

preload="$(g++ -print-file-name=libasan.so) $(g++ -print-file-name=libstdc++.so.6)"
tests=("$@")
if [ ${#tests[@]} -eq 0 ]; then
  tests=(tests/python/test_{leaks,frames,transforms,nested,metadata,batches,sinks,explain}.py)
fi
# Leaks of the interpreter and of other libraries are not ours: the report is read below.
PYTHONMALLOC=malloc WRACKLINE_SANITIZED=1 PYTHONPATH="$work" LD_PRELOAD="$preload" \
  ASAN_OPTIONS="detect_leaks=1:malloc_context_size=12:log_path=$work/report" UBSAN_OPTIONS=halt_on_error=1 \
  LSAN_OPTIONS=exitcode=0 "$python" -m pytest -q -p no:cacheprovider "${tests[@]}"

"$python" - "$work" <<'PYTHON'
import sys
from pathlib import Path

ours = [
    block
    for report in Path(sys.argv[1]).glob("report*")
    for block in report.read_text(errors="replace").split("\n\n")
    if "wrackline::" in block
]
print("\n\n".join(ours) or "no leak of the core's")
sys.exit(1 if ours else 0)
PYTHON
