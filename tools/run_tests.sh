#!/usr/bin/env bash
# Sets the environment up and runs the linter and all tests.
#
#   bash tools/run_tests.sh [PYTEST_OPTIONS]
#
# PYTEST_WORKERS is the number of processes (2).
set -uo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
fi

source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh" dev || exit 1
cd "$REPO" || exit 1
status=0
"$PYTHON" -m ruff check . || status=1
"$PYTHON" -m ruff format --check . || status=1
if [[ $status != 0 ]]; then
    echo 'ruff found something: see above'
fi
OMP_NUM_THREADS=1 "$PYTHON" -m pytest -n "${PYTEST_WORKERS:-2}" "$@" || status=1
exit "$status"
