#!/usr/bin/env bash
# Trains a classifier on a checkpoint on a Slurm cluster (srun).
set -euo pipefail

if [[ $# -lt 5 || $1 == -h || $1 == --help ]]; then
    cat >&2 <<'USAGE'
usage: [NAME=VALUE ...] bash tools/benchmarks/classification/slurm_train.sh PARTITION JOB_NAME CONFIG CHECKPOINT WORK_DIR [OPTIONS]

CHECKPOINT is the pretrained model, torchvision://resnet50 for the supervised
one, or none. OPTIONS go to tools/benchmarks/classification/train.py (--help lists
them).

  IMAGENET_ROOT, PLACES_ROOT, VOC_ROOT
                       folders of the data, as for dist_train.sh
  GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS, PYTHON
                       as for tools/slurm_train.sh

example:
  GPUS=8 bash tools/benchmarks/classification/slurm_train.sh gpu linear \
      configs/benchmarks/linear/resnet50_8xb32-linear-pcl-100e_in1k.py \
      work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth work_dirs/linear
USAGE
    exit 2
fi

PARTITION=$1
JOB_NAME=$2
CONFIG=$3
CHECKPOINT=$4
WORK_DIR=$5
shift 5
source "$(dirname "${BASH_SOURCE[0]}")/../../slurm_common.sh"
srun_exec benchmarks/classification/train.py "$CONFIG" "$CHECKPOINT" \
    --work-dir "$WORK_DIR" --launcher slurm "$@"
