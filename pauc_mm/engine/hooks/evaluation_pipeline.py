# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Which transforms give one centred view of a training image."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.runner import Runner

from .clustering_hook import ClusteringHook


def find_pipeline(
    runner: Runner, given: Sequence[dict] | None, key: str
) -> tuple[str, Sequence[dict]]:
    """The transforms that a hook embeds training images with.

    In this order: those that it was given, those of the ClusteringHook, the
    config's ``test_pipeline``, those of ``val_dataloader.dataset``.

    Args:
        runner (Runner): The runner.
        given (list[dict], optional): What the hook was given.
        key (str): Config key of the hook, for messages.

    Returns:
        tuple[str, Sequence[dict]]: Config key of the transforms, and them.

    Raises:
        ValueError: If there are none.
    """
    if given is not None:
        return f'{key}.pipeline', given
    for hook in runner.hooks:
        if isinstance(hook, ClusteringHook):
            return 'default_hooks.clustering.pipeline', hook.pipeline
    if runner.cfg.get('test_pipeline'):
        return 'test_pipeline', runner.cfg.test_pipeline
    loader = runner.cfg.get('val_dataloader') or {}
    pipeline = (loader.get('dataset') or {}).get('pipeline')
    if pipeline:
        return 'val_dataloader.dataset.pipeline', pipeline
    raise ValueError(
        f'{key}.pipeline is not set, and the config has no '
        'test_pipeline to take instead. Give the transforms for one '
        "centred view of an image, such as [dict(type='LoadImageFromFile')"
        ", dict(type='ResizeEdge', scale=256, edge='short'), "
        "dict(type='CenterCrop', crop_size=224), dict(type='PackInputs')]."
    )
