#!/usr/bin/env bash
# Builds the site in docs/_build/html; warnings are errors. The tutorials are
# run for it, on one core, those that have changed since the last time.
#
#   bash tools/build_docs.sh [SPHINX_OPTIONS]
set -euo pipefail

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,/^set/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit
fi
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh" docs export detection
cd "$REPO"
export OMP_NUM_THREADS=1
PATH=$(dirname "$PYTHON"):$PATH # pauc, in the tutorials
"$PYTHON" -m sphinx -W --keep-going -q -b html "$@" docs docs/_build/html
echo "docs/_build/html/index.html"
