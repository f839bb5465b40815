#!/usr/bin/env bash
# Evaluates a checkpoint with several processes (torchrun).
set -euo pipefail

if [[ $# -lt 3 || $1 == -h || $1 == --help ]]; then
    cat >&2 <<'USAGE'
usage: [NAME=VALUE ...] bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [OPTIONS]

CHECKPOINT may be the word none: the untrained model. PROCESSES and the
variables NNODES, NODE_RANK, MASTER_ADDR, PORT, PYTHON and OMP_NUM_THREADS are
those of tools/dist_train.sh. OPTIONS go to tools/test.py (--help lists them).

example:
  bash tools/dist_test.sh configs/pauc_r50_8xb32_in1k.py \
      work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth 8 --out metrics.json
USAGE
    exit 2
fi

CONFIG=$1
CHECKPOINT=$2
PROCESSES=$3
shift 3
source "$(dirname "${BASH_SOURCE[0]}")/dist_common.sh"
torchrun_exec test.py "$CONFIG" "$CHECKPOINT" --launcher pytorch "$@"
