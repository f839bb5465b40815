# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Optional, Union

import torch
from mmengine.dataset import Compose, default_collate
from mmengine.dist import (
    broadcast,
    get_rank,
    get_world_size,
    is_main_process,
)
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS, TASK_UTILS

from ..clustering import KMeansResult, concentration
from ..models.embedding import embed_batch, unwrap
from ..models.extraction import check_finite, extract_embeddings
from ..utils import derive_seed, raise_together
from .clustering_checks import check_clustering_setup
from .training_set import base_dataset, fingerprint, with_pipeline


@HOOKS.register_module()
class ClusteringHook(Hook):
    """The E-step of PCL and PAUC: cluster the training set before an epoch.

    It embeds the centre-cropped training images with the momentum encoder,
    clusters them once for each K of ``model.num_clusters``, and gives
    centroids, concentrations and assignments to the model, which looks them
    up by ``sample_idx`` in the training process. Several processes share the
    images and the clusterings. The state is kept in the checkpoint under
    ``clustering``. Everything that can be checked is checked before the
    first epoch.

    Args:
        pipeline (list[dict]): Transforms for one centred view of an image;
            they replace those of the training data set.
        warmup_epochs (int): Epochs of InfoNCE alone. Defaults to 20.
        interval (int): Epochs between two E-steps. Defaults to 1.
        batch_size (int): Images a batch and process. Defaults to 256.
        num_workers (int): Worker processes for the images. Defaults to 4.
        kmeans (dict): Config of the clusterer, an object with
            ``fit(features, k, seed) -> KMeansResult`` in TASK_UTILS.

    Raises:
        ValueError: If an argument is out of its range.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        pipeline: Sequence[dict],
        warmup_epochs: int = 20,
        interval: int = 1,
        batch_size: int = 256,
        num_workers: int = 4,
        kmeans: Optional[dict] = None,
    ) -> None:
        for name, value, least in (
            ('warmup_epochs', warmup_epochs, 0),
            ('interval', interval, 1),
            ('batch_size', batch_size, 1),
            ('num_workers', num_workers, 0),
        ):
            if not isinstance(value, int) or value < least:
                raise ValueError(
                    f'default_hooks.clustering.{name} must be an integer >= '
                    f'{least}, not {value!r}.'
                )
        self.pipeline = pipeline
        self.warmup_epochs = warmup_epochs
        self.interval = interval
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.kmeans = TASK_UTILS.build(kmeans or dict(type='FaissKMeans'))

    def before_train(self, runner: Runner) -> None:
        """Check the whole setup before hours are spent on it."""
        check_clustering_setup(self, runner)
        self.dataset = with_pipeline(
            runner.train_dataloader.dataset, Compose(list(self.pipeline))
        )
        self._try_pipeline(runner)

    def _try_pipeline(self, runner: Runner) -> None:
        """Embed two images, so that a fault shows before the warm-up.

        Raises:
            ValueError: If the pipeline does not give one view of each image,
                all of one size, with its ``sample_idx``.
        """
        error = None
        was_training = runner.model.training
        runner.model.eval()
        try:
            pair = [self.dataset[i] for i in (0, len(self.dataset) - 1)]
            batch = default_collate(pair)
            _, _, samples = embed_batch(runner.model, batch, momentum=True)
            for sample in samples:
                sample.sample_idx  # noqa: B018
        except Exception as caught:
            error = ValueError(
                'default_hooks.clustering.pipeline must give one view of each '
                'image, all of one size, packed with sample_idx; it failed: '
                f'{type(caught).__name__}: {caught}'
            )
            error.__cause__ = caught
        finally:
            runner.model.train(was_training)
        raise_together(error, 'Trying default_hooks.clustering.pipeline')

    def before_train_epoch(self, runner: Runner) -> None:
        """Make the E-step if it is due, and seed the negatives."""
        model = unwrap(runner.model)
        since_warmup = runner.epoch - self.warmup_epochs
        due = since_warmup >= 0 and since_warmup % self.interval == 0
        if due or (since_warmup >= 0 and not model.prototypes.ready):
            self.e_step(runner)
        device = next(model.parameters()).device
        model.proto_head.seed(derive_seed(runner.seed, runner.epoch), device)

    def e_step(self, runner: Runner) -> None:
        """Embed, cluster, estimate the concentrations, hand over.

        Raises:
            RuntimeError: If embeddings are not finite, or a rank failed.
        """
        model = unwrap(runner.model)
        model.start_momentum_encoder()
        runner.logger.info(
            f'E-step of epoch {runner.epoch + 1}: embedding '
            f'{len(self.dataset)} images.'
        )
        start = time.perf_counter()
        embeddings = extract_embeddings(
            runner.model,
            self.dataset,
            self.batch_size,
            self.num_workers,
            description=f'E-step of epoch {runner.epoch + 1}',
        )
        check_finite(embeddings, runner.epoch + 1)
        embedded = time.perf_counter()
        results = self._cluster(embeddings, model.num_clusters, runner)
        concentrations = []
        for m, result in enumerate(results):
            phi = concentration(
                embeddings,
                torch.from_numpy(result.centroids),
                torch.from_numpy(result.assignments),
                model.temperature,
            )
            concentrations.append(phi)
            previous = None
            if model.prototypes.ready and is_main_process():
                previous = model.prototypes.assignments[m].cpu().numpy()
            runner.logger.info(
                _summary(model.num_clusters[m], result, phi, previous)
            )
        model.prototypes.update(
            [torch.from_numpy(result.centroids) for result in results],
            concentrations,
            torch.stack([torch.from_numpy(r.assignments) for r in results]),
            next(model.parameters()).device,
        )
        runner.logger.info(
            f'E-step: {embedded - start:.1f} s to embed the images, '
            f'{time.perf_counter() - embedded:.1f} s to cluster them.'
        )

    def _cluster(
        self,
        embeddings: torch.Tensor,
        num_clusters: Sequence[int],
        runner: Runner,
    ) -> list[KMeansResult]:
        """Run clustering m on rank m modulo their number, and share it."""
        features = embeddings.numpy()
        results: list[Optional[KMeansResult]] = [None] * len(num_clusters)
        error = None
        try:
            for m, k in enumerate(num_clusters):
                if m % get_world_size() == get_rank():
                    seed = derive_seed(runner.seed, runner.epoch, m)
                    results[m] = self.kmeans.fit(features, k, seed)
        except Exception as caught:
            error = caught
        raise_together(error, 'k-means')
        if get_world_size() == 1:
            return results
        return [
            _share(result, m % get_world_size(), len(features))
            for m, result in enumerate(results)
        ]

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the prototypes into the checkpoint."""
        model = unwrap(runner.model)
        dataset = runner.train_dataloader.dataset
        checkpoint['clustering'] = dict(
            num_clusters=list(model.num_clusters),
            num_samples=len(base_dataset(dataset)),
            fingerprint=fingerprint(dataset),
            **(
                model.prototypes.state_dict() if model.prototypes.ready else {}
            ),
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the prototypes from the checkpoint when a run is resumed.

        Raises:
            ValueError: If the checkpoint was written by another algorithm,
                on another data set or with other numbers of clusters.
        """
        if not getattr(runner, '_resume', False):
            return
        state = checkpoint.get('clustering')
        if state is None:
            raise ValueError(
                'The checkpoint has no entry "clustering": it was not '
                'written by PCL or PAUC. Resume with the config that wrote '
                'it, or use load_from to start a new run from its weights.'
            )
        model = unwrap(runner.model)
        _check_same_setup(runner, state, model.num_clusters)
        if 'centroids' in state:  # not within the warm-up
            model.prototypes.load_state_dict(
                state, next(model.parameters()).device
            )


def _share(
    result: Optional[KMeansResult], source: int, num_samples: int
) -> KMeansResult:
    """Broadcast a clustering from the rank that made it."""
    facts = torch.zeros(4, dtype=torch.float64)
    if result is not None:
        facts = torch.tensor(
            [*result.centroids.shape, result.objective, result.num_trained],
            dtype=torch.float64,
        )
    broadcast(facts, src=source)
    rows, dim = int(facts[0]), int(facts[1])
    if result is None:
        centroids = torch.empty(rows, dim)
        assignments = torch.empty(num_samples, dtype=torch.int64)
    else:
        centroids = torch.from_numpy(result.centroids)
        assignments = torch.from_numpy(result.assignments)
    broadcast(centroids, src=source)
    broadcast(assignments, src=source)
    return KMeansResult(
        assignments=assignments.numpy(),
        centroids=centroids.numpy(),
        objective=float(facts[2]),
        num_trained=int(facts[3]),
    )


def _summary(k: int, result: KMeansResult, phi, previous) -> str:
    """One log line about a clustering."""
    sizes = torch.bincount(torch.from_numpy(result.assignments))
    nmi: Union[str, float] = 'none before'
    if previous is not None:
        from sklearn.metrics import normalized_mutual_info_score

        score = normalized_mutual_info_score(previous, result.assignments)
        nmi = f'{score:.3f}'
    return (
        f'Clustering K={k}: {len(sizes)} clusters used, sizes min '
        f'{int(sizes.min())} / median {int(sizes.median())} / max '
        f'{int(sizes.max())}, objective {result.objective:.4f}, mean '
        f'concentration {float(phi.mean()):.4f} (min {float(phi.min()):.4f}, '
        f'max {float(phi.max()):.4f}), k-means on {result.num_trained} of '
        f'{len(result.assignments)} samples, NMI with the previous '
        f'assignment: {nmi}'
    )


def _check_same_setup(runner, state: dict, num_clusters) -> None:
    if tuple(state['num_clusters']) != tuple(num_clusters):
        raise ValueError(
            'model.num_clusters is '
            f'{list(num_clusters)}, but the checkpoint was written with '
            f'{list(state["num_clusters"])}. Resume with the same value, or '
            'use load_from to start a new run from its weights.'
        )
    own = fingerprint(runner.train_dataloader.dataset)
    if state['fingerprint'] != own:
        raise ValueError(
            'The checkpoint was written on another training set (samples: '
            f'{state["num_samples"]}, now '
            f'{len(base_dataset(runner.train_dataloader.dataset))}; names or '
            'pixels of some are compared too), so its cluster assignments do '
            'not fit. '
            'Resume with the same train_dataloader.dataset, or use load_from '
            'to start a new run from its weights.'
        )
