#!/usr/bin/env bash
# Sets the environment up and runs the linter and all tests.
#
#   bash tools/run_tests.sh [PYTEST_OPTIONS]
#
# PYTEST_WORKERS is the number of processes (2). The tests look at the HTML
# reports in Chromium; on Debian root gets it installed, elsewhere those tests
# are skipped where there is none.
set -uo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
fi

source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh" dev detection || exit 1
cd "$REPO" || exit 1
status=0
has_browser() {
    local name
    for name in chromium chromium-browser google-chrome chrome; do
        command -v "$name" >/dev/null && return
    done
    return 1
}
if ! has_browser && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    pauc_say 'installing Chromium'
    { apt-get -qq update &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
            --no-install-recommends chromium; } >/dev/null ||
        pauc_say 'Chromium could not be installed'
fi
"$PYTHON" -m ruff check . || status=1
"$PYTHON" -m ruff format --check . || status=1
if [[ $status != 0 ]]; then
    echo 'ruff found something: see above'
fi
OMP_NUM_THREADS=1 "$PYTHON" -m pytest -n "${PYTEST_WORKERS:-2}" "$@" || status=1
exit "$status"
