#!/usr/bin/env bash
# Trains on a Slurm cluster (srun).
set -euo pipefail

if [[ $# -lt 4 || $1 == -h || $1 == --help ]]; then
    cat >&2 <<'USAGE'
usage: [NAME=VALUE ...] bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [OPTIONS]

OPTIONS go to tools/train.py (--help lists them).

  GPUS           number of GPUs in all (8)
  GPUS_PER_NODE  number of GPUs of each machine (8, or GPUS if that is less)
  CPUS_PER_TASK  number of CPU cores for each GPU (5)
  SRUN_ARGS      further arguments of srun
  PYTHON         interpreter (python)

example:
  GPUS=16 bash tools/slurm_train.sh gpu pauc configs/pauc_r50_8xb32_in1k.py \
      work_dirs/pauc --resume
USAGE
    exit 2
fi

PARTITION=$1
JOB_NAME=$2
CONFIG=$3
WORK_DIR=$4
shift 4
source "$(dirname "${BASH_SOURCE[0]}")/slurm_common.sh"
srun_exec train.py "$CONFIG" --work-dir "$WORK_DIR" --launcher slurm "$@"
