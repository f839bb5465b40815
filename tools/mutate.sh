#!/usr/bin/env bash
# Sets the environment up and tries the tests on small changes of the code.
#
#   bash tools/mutate.sh [MODULE...] [--sample N] [--seed N] [--jobs N] [--again]
#
#   bash tools/mutate.sh models/losses      # one folder of pauc_mm
#   bash tools/mutate.sh --sample 200       # of all that it can change
#   bash tools/mutate.sh --help             # the options in full
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh" dev mutation
cd "$REPO"
exec "$PYTHON" tests/mutation/mutate.py "$@"
