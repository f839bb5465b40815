#!/usr/bin/env bash
# Trains with several processes on one or more machines (torchrun).
set -euo pipefail

if [[ $# -lt 2 || $1 == -h || $1 == --help ]]; then
    cat >&2 <<'USAGE'
usage: [NAME=VALUE ...] bash tools/dist_train.sh CONFIG PROCESSES [OPTIONS]

PROCESSES is the number of GPUs to use on this machine; where there is none,
that many CPU processes are started (gloo). OPTIONS go to tools/train.py
(--help lists them): --resume, --amp, --work-dir, --auto-scale-lr,
--cfg-options, ...

  NNODES           number of machines (1); start this script on each
  NODE_RANK        number of this machine, from 0 (0)
  MASTER_ADDR      address of machine 0 (127.0.0.1)
  PORT             free port of machine 0 (29500; any free one if NNODES=1)
  PYTHON           interpreter (python)
  OMP_NUM_THREADS  CPU threads of each process (cores / PROCESSES)

examples:
  bash tools/dist_train.sh configs/pauc_r50_8xb32_in1k.py 8 --amp --resume
  NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 \
      bash tools/dist_train.sh configs/pauc_r50_8xb32_in1k.py 8
USAGE
    exit 2
fi

CONFIG=$1
PROCESSES=$2
shift 2
source "$(dirname "${BASH_SOURCE[0]}")/dist_common.sh"
torchrun_exec train.py "$CONFIG" --launcher pytorch "$@"
