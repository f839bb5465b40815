#!/usr/bin/env bash
# Pretrains PAUC on scikit-learn's digits and reports the result.
#
#   bash tools/quickstart.sh
#
# Needs Python 3.10 to 3.13 and nothing else. A second start skips what is done;
# remove work_dirs/quickstart to train again.
set -euo pipefail

if [[ $# -gt 0 ]]; then
    sed -n '2,/^$/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
cd "$REPO"
CONFIG=configs/pauc_tiny_digits.py
WORK_DIR=work_dirs/quickstart
# One core computes and one augments; on such small images more threads would
# only wait for each other.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
"$PYTHON" tools/train.py "$CONFIG" --work-dir "$WORK_DIR" --resume --no-verbose
"$PYTHON" tools/analysis/quickstart_report.py \
    --config "$CONFIG" --work-dir "$WORK_DIR"
