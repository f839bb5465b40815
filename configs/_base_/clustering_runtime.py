# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# default_runtime.py and the E-step of PCL and PAUC. A recipe adds the
# transforms of its data set:
#   default_hooks = dict(clustering=dict(pipeline=_base_.test_pipeline))
_base_ = './default_runtime.py'

default_hooks = dict(
    clustering=dict(
        type='ClusteringHook',
        warmup_epochs=20,
        # Cheaper than the papers and within noise on three small sets
        # (docs/performance.md). The papers' settings: interval=1 and
        # kmeans=dict(warm_start=False).
        interval=5,
        channels_last=True,
        batch_size=256,
        num_workers=8,
        # The official PCL's settings, except warm_start, and spherical (False
        # there): the assignment then agrees with the logits. Without a type
        # it is ShardedKMeans where there is a GPU or more than one process,
        # else FaissKMeans.
        kmeans=dict(
            warm_start=True,
            niter=20,
            nredo=5,
            max_points_per_centroid=1000,
            min_points_per_centroid=10,
            spherical=True,
        ),
    ),
    # Logs measures of collapse; to end a run that collapses:
    # stop=dict(effective_rank='< 2').
    collapse_monitor=dict(type='CollapseMonitorHook', interval=10),
)

# Seconds. With kmeans.type='FaissKMeans' some processes cluster and the others
# wait; on a CPU that takes longer than NCCL's default of ten minutes.
env_cfg = dict(dist_cfg=dict(backend='nccl', timeout=14400))
