# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# default_runtime.py and the E-step of PCL and PAUC. A recipe adds the
# transforms of its data set:
#   default_hooks = dict(clustering=dict(pipeline=_base_.test_pipeline))
_base_ = './default_runtime.py'

default_hooks = dict(
    clustering=dict(
        type='ClusteringHook',
        warmup_epochs=20,
        interval=1,
        batch_size=256,
        num_workers=8,
        # The official PCL's settings, but for spherical (False there), with
        # which the assignment agrees with the logits.
        kmeans=dict(
            type='FaissKMeans',
            niter=20,
            nredo=5,
            max_points_per_centroid=1000,
            min_points_per_centroid=10,
            spherical=True,
            device='auto',
        ),
    ),
    # Logs what shows a collapse while it happens; to end the run then:
    # stop=dict(effective_rank='< 2').
    collapse_monitor=dict(type='CollapseMonitorHook', interval=10),
)

# While some processes cluster, the others wait, for k-means on a CPU longer
# than the ten minutes after which NCCL gives up. In seconds.
env_cfg = dict(dist_cfg=dict(backend='nccl', timeout=14400))
