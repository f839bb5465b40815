#!/usr/bin/env bash
# Evaluates a checkpoint on a Slurm cluster (srun).
set -euo pipefail

if [[ $# -lt 4 || $1 == -h || $1 == --help ]]; then
    cat >&2 <<'USAGE'
usage: [NAME=VALUE ...] bash tools/slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [OPTIONS]

CHECKPOINT may be the word none: the untrained model. OPTIONS go to
tools/test.py (--help lists them). The variables GPUS, GPUS_PER_NODE,
CPUS_PER_TASK, SRUN_ARGS and PYTHON are those of tools/slurm_train.sh.
USAGE
    exit 2
fi

PARTITION=$1
JOB_NAME=$2
CONFIG=$3
CHECKPOINT=$4
shift 4
source "$(dirname "${BASH_SOURCE[0]}")/slurm_common.sh"
srun_exec test.py "$CONFIG" "$CHECKPOINT" --launcher slurm "$@"
