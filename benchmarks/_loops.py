# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Concentrations in Python loops, as in the official PCL."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

TAU = 0.1


def make_data(num_samples, k, dim, seed, device):
    """Return a clustering in the form of faiss, and the embeddings.

    Returns:
        dict: ``embeddings`` (N, D), ``centroids`` (K, D), ``assignments``
        (N,), ``distances`` (N,) on the device; ``assigned`` and ``squared``,
        both (N, 1), the arrays that ``faiss.IndexFlatL2.search`` gives;
        ``products`` (N,), inner products, those of ``faiss.IndexFlatIP``;
        ``host``, embeddings and centroids on the CPU, as the E-step has them.
    """
    generator = torch.Generator().manual_seed(seed)
    centroids = F.normalize(torch.randn(k, dim, generator=generator), dim=1)
    # No cluster is empty, and their sizes differ.
    rest = torch.randint(k, (num_samples - k,), generator=generator)
    assignments = torch.cat([torch.arange(k), rest])
    assignments = assignments[torch.randperm(num_samples, generator=generator)]
    embeddings = torch.empty(num_samples, dim)
    distances = torch.empty(num_samples)
    for start in range(0, num_samples, 16384):
        part = slice(start, start + 16384)
        own = centroids[assignments[part]]
        noise = torch.randn(own.shape, generator=generator)
        embeddings[part] = F.normalize(own + 0.05 * noise, dim=1)
        distances[part] = (embeddings[part] - own).norm(dim=1)
    return dict(
        embeddings=embeddings.to(device),
        centroids=centroids.to(device),
        assignments=assignments.to(device),
        distances=distances.to(device),
        assigned=assignments.numpy()[:, None],
        squared=distances.square().numpy()[:, None],
        products=(1 - distances.square() / 2).numpy(),
        host=(embeddings, centroids),
        num_clusters=k,
    )


def phi_of_lists(members, tau):
    """Compute eq. 12 of PCL from one list of distances a cluster."""
    phi = np.zeros(len(members))
    for cluster, distances in enumerate(members):
        size = len(distances)
        if size > 1:
            phi[cluster] = np.asarray(distances).mean() / math.log(size + 10)
    largest = phi.max()
    for cluster, distances in enumerate(members):
        if len(distances) <= 1:
            phi[cluster] = largest
    phi = phi.clip(np.percentile(phi, 10), np.percentile(phi, 90))
    return tau * phi / phi.mean()


def loop(data):
    """Loop over the arrays that faiss returns, as in the official PCL."""
    assigned, distances = data['assigned'], np.sqrt(data['squared'])
    clusters = [int(row[0]) for row in assigned]
    members = [[] for _ in range(data['num_clusters'])]
    for sample, cluster in enumerate(clusters):
        members[cluster].append(distances[sample][0])
    return phi_of_lists(members, TAU)


def loop_lists(data):
    """Loop over plain numbers, which are faster in Python."""
    clusters = data['assigned'][:, 0].tolist()
    distances = np.sqrt(data['squared'][:, 0]).tolist()
    members = [[] for _ in range(data['num_clusters'])]
    for cluster, distance in zip(clusters, distances):
        members[cluster].append(distance)
    return phi_of_lists(members, TAU)
