# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Plain k-means for the E-step, as in the official code of PCL; the recipe
# normalises the centroids after each iteration.
_base_ = '../pauc_tiny_mnist.py'

default_hooks = dict(clustering=dict(kmeans=dict(spherical=False)))
