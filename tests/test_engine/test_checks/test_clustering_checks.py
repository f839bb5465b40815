# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
import re
from types import SimpleNamespace

import pytest
import torch

from pauc_mm.clustering import ShardedKMeans
from pauc_mm.engine.checks import clustering_checks
from pauc_mm.engine.checks.clustering_checks import (
    check_kmeans_device,
    check_same_clustering,
    check_schedule,
)


@pytest.mark.parametrize(
    'warmup, ramp, epochs, message',
    [
        (0, 0, 1, None),
        (39, 1, 40, None),  # the last epoch has the whole weight
        (50, 0, 40, r'warmup_epochs=50 .*max_epochs=40.*, here 4\.'),
        (40, 0, 40, 'warmup_epochs=40 is not below'),
        (37, 4, 40, 'ramp_epochs=4 after warmup_epochs=37 .* to 3 at most'),
    ],
)
def test_warm_up_and_ramp_end_within_the_run(warmup, ramp, epochs, message):
    if message is None:
        check_schedule(warmup, ramp, epochs)
        return
    with pytest.raises(ValueError, match=message):
        check_schedule(warmup, ramp, epochs)


@pytest.mark.parametrize(
    'device, cuda, level, words',
    [
        (False, False, logging.INFO, r'^k-means will run on the CPU\.$'),
        (False, True, logging.WARNING, 'on the CPU, although .*ShardedKMeans'),
        (0, True, logging.INFO, r'on CUDA device 0 .* 1 MiB there\.$'),
    ],
)
def test_the_place_of_k_means(monkeypatch, device, cuda, level, words):
    tried, raised, said = [], [], []
    for where, name, spy in (
        (torch.cuda, 'is_available', lambda: cuda),
        (clustering_checks, 'raise_together', lambda *a: raised.append(a)),
        (
            clustering_checks,
            'print_log',
            lambda text, logger, level: said.append((level, text)),
        ),
    ):
        monkeypatch.setattr(where, name, spy)
    kmeans = SimpleNamespace(
        gpu_id=lambda: device,
        fit=lambda *args: tried.append(args),
        gpu_memory=lambda k, dim: 2**20,
    )
    check_kmeans_device(kmeans, (4, 6), 8)
    assert len(tried) == (device is not False)
    # Of a rank without a GPU too: the others wait for it.
    assert [error for error, _ in raised] == [None]
    ((own, text),) = said
    assert own == level and re.search(words, text)


def test_sharded_k_means_is_tried_and_its_memory_told(monkeypatch):
    said = []
    monkeypatch.setattr(
        clustering_checks, 'print_log', lambda text, **_: said.append(text)
    )
    monkeypatch.setattr(clustering_checks, 'get_world_size', lambda: 8)
    kmeans, tried = ShardedKMeans(nredo=1, scratch=3), []
    kmeans.fit = lambda *args: tried.append(args)
    check_kmeans_device(kmeans, (2**18, 4), 2, 2**19, 'there is a GPU')
    ((shard, *options),) = tried
    assert options == [1, 0]  # one cluster, for one dimension has one point
    assert torch.equal(shard.gather(), torch.eye(2))
    # 2 numbers of 4 bytes for 2^19 rows and twice 2^18 centroids; the scratch
    assert 'ShardedKMeans (there is a GPU) will run on the cpu of' in said[0]
    assert 'each of 8 process(es) and take at most 11 MiB there' in said[0]


@pytest.mark.parametrize('more', [{}, dict(sharded=False)])
def test_a_clusterer_of_a_users_own_is_not_tried(monkeypatch, more):
    monkeypatch.setattr(clustering_checks, 'print_log', None)
    check_kmeans_device(SimpleNamespace(fit=None, **more), (4,), 8)


@pytest.mark.parametrize(
    'saved, message',
    [
        ({}, None),
        (dict(num_clusters=(4, 6)), None),
        (dict(num_clusters=[6, 4]), r'is \[4, 6\], .*with \[6, 4\]'),
        (dict(fingerprint='b', num_samples=7), 'samples: 7, now 48'),
        (dict(fingerprint='b'), 'another training set'),
    ],
)
def test_the_clustering_of_a_checkpoint(saved, message):
    current = dict(num_clusters=[4, 6], num_samples=48, fingerprint='a')
    if message is None:
        check_same_clustering({**current, **saved}, current)
        return
    with pytest.raises(ValueError, match=message):
        check_same_clustering({**current, **saved}, current)
