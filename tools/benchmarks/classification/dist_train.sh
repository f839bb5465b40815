#!/usr/bin/env bash
# Trains a classifier on a checkpoint, with several processes (torchrun).
set -euo pipefail

if [[ $# -lt 3 || $1 == -h || $1 == --help ]]; then
    cat >&2 <<'USAGE'
usage: [NAME=VALUE ...] bash tools/benchmarks/classification/dist_train.sh CONFIG CHECKPOINT GPUS [OPTIONS]

CHECKPOINT is the pretrained model, torchvision://resnet50 for the supervised
one, or none. GPUS is the number to use on this machine; where there is none,
that many CPU processes are started (gloo). OPTIONS go to
tools/benchmarks/classification/train.py (--help lists them): --auto-scale-lr,
--amp, --resume, --work-dir, --cfg-options, ...

  IMAGENET_ROOT    folder with train and val (data/imagenet)
  PLACES_ROOT      folder with data and trainvalsplit_places205
                   (data/places205)
  VOC_ROOT         folder with VOC2007 (data/VOCdevkit)
  NNODES, NODE_RANK, MASTER_ADDR, PORT, PYTHON, OMP_NUM_THREADS
                   as for tools/dist_train.sh

example:
  bash tools/benchmarks/classification/dist_train.sh \
      configs/benchmarks/linear/resnet50_8xb32-linear-pcl-100e_in1k.py \
      work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth 8
USAGE
    exit 2
fi

CONFIG=$1
CHECKPOINT=$2
PROCESSES=$3
shift 3
source "$(dirname "${BASH_SOURCE[0]}")/../../dist_common.sh"
torchrun_exec benchmarks/classification/train.py "$CONFIG" "$CHECKPOINT" \
    --launcher pytorch "$@"
