#!/usr/bin/env bash
# Sets the environment up and runs the linter, the import contracts, the type
# checker and the tests.
#
#   bash tools/run_tests.sh [--fast] [PYTEST_OPTIONS]
#
#   --fast        leaves out tests marked slow
#   --programs    also runs, as CI does, whole programs with few data: those of
#                 benchmarks/ and experiments/, the quickstart, a wheel's
#   --coverage    reports which lines of pauc_mm the tests run; slower
#
# PYTEST_WORKERS is the number of processes (2). Nothing is installed outside
# the Python environment: the tests that look at HTML reports are skipped
# where there is no Chromium (Debian and Ubuntu: apt install chromium).
set -uo pipefail

options=()
left_out=program
for option in "$@"; do
    case $option in
        -h | --help)
            sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
            exit 0
            ;;
        --fast) left_out='slow or program' ;;
        --programs) left_out= ;;
        --coverage) options+=(--cov --cov-report=term:skip-covered) ;;
        *) options+=("$option") ;;
    esac
done

source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh" dev detection export || exit 1
cd "$REPO" || exit 1
status=0
check() {
    local output
    output=$("$@" 2>&1) && return
    echo "$output"
    status=1
}
check "$PYTHON" -m ruff check .
check "$PYTHON" -m ruff format --check .
check env PYTHONPATH="$REPO" "$(dirname "$PYTHON")/lint-imports" --no-cache
check "$PYTHON" -m mypy
[[ $status == 0 ]] || echo 'linter, import contracts or types: see above'
OMP_NUM_THREADS=1 "$PYTHON" -m pytest -n "${PYTEST_WORKERS:-2}" \
    ${left_out:+-m "not ($left_out)"} "${options[@]}" || status=1
exit "$status"
