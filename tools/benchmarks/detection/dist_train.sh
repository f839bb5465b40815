#!/usr/bin/env bash
# Fine-tunes a detector from a checkpoint, with several processes (torchrun).
set -euo pipefail

if [[ $# -lt 3 || $1 == -h || $1 == --help ]]; then
    cat >&2 <<'USAGE'
usage: [NAME=VALUE ...] bash tools/benchmarks/detection/dist_train.sh CONFIG CHECKPOINT GPUS [OPTIONS]

CHECKPOINT is the pretrained model, torchvision://resnet50 for the supervised
one, or none. GPUS is the number to use on this machine; where there is none,
that many CPU processes are started (gloo). OPTIONS go to
tools/benchmarks/detection/train.py (--help lists them): --auto-scale-lr,
--amp, --resume, --work-dir, --cfg-options, ...

  VOC_ROOT         folder with VOC2007 and VOC2012 (data/VOCdevkit)
  COCO_ROOT        folder with train2017, val2017, annotations (data/coco)
  NNODES, NODE_RANK, MASTER_ADDR, PORT, PYTHON, OMP_NUM_THREADS
                   as for tools/dist_train.sh

example:
  bash tools/benchmarks/detection/dist_train.sh \
      configs/benchmarks/detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py \
      work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth 8
USAGE
    exit 2
fi

CONFIG=$1
CHECKPOINT=$2
PROCESSES=$3
shift 3
source "$(dirname "${BASH_SOURCE[0]}")/../../dist_common.sh"
torchrun_exec benchmarks/detection/train.py "$CONFIG" "$CHECKPOINT" \
    --launcher pytorch "$@"
