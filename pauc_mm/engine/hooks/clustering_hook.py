# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
import time
from collections.abc import Sequence
from itertools import pairwise

import torch
from mmengine.dataset import Compose, default_collate
from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model
from torch import nn

from pauc_mm.clustering import (
    KMeansResult,
    build_kmeans,
    cluster_on_ranks,
    concentration,
)
from pauc_mm.clustering.summary import clustering_summary
from pauc_mm.datasets.dataset_views import (
    base_dataset,
    fingerprint,
    with_pipeline,
)
from pauc_mm.embedding.e_step import check_finite, extract_embeddings
from pauc_mm.engine.checks.clustering_checks import (
    check_kmeans_device,
    check_same_clustering,
    check_schedule,
)
from pauc_mm.engine.plan import log_plan
from pauc_mm.engine.shared_seed import shared_seed
from pauc_mm.models.checks import global_batch_size
from pauc_mm.models.embed import embed_batch
from pauc_mm.models.prototypes import MomentumBank
from pauc_mm.utils import Shard, derive_seed, raise_together
from pauc_mm.utils.checks import check_choice, check_integer

from .setup_check_hook import SetupCheckHook

_KEY = 'default_hooks.clustering'


@HOOKS.register_module()
class ClusteringHook(Hook):
    """E-step of PCL and PAUC: cluster the training set before an epoch.

    It embeds the centre-cropped training images with the momentum encoder,
    clusters them once for each K of ``model.num_clusters``, and gives
    centroids, concentrations and assignments to ``model.prototypes``. Several
    processes share the work. The state is kept in the checkpoint under
    ``clustering``.

    Args:
        pipeline (list[dict]): Transforms for one centred view of an image;
            they replace those of the training data set.
        warmup_epochs (int): Epochs of InfoNCE alone.
        ramp_epochs (int): Epochs after them in which the weight of all
            prototype losses rises in equal steps to 1, where their sudden
            start makes the loss leap: with 4 it is 1/4, 1/2, 3/4, 1; with 0
            it is 1 at once, as in the papers.
        interval (int): Epochs between two E-steps.
        batch_size (int): Images a batch and process.
        num_workers (int): Worker processes for the images.
        features (str): 'extract' passes over the training set once more, as
            the papers do. 'momentum_bank' takes the momentum embeddings of the
            augmented images of the epoch before, and embeds only images that
            had none; the E-step is then made at the end of that epoch, before
            its checkpoint is saved.
        amp_dtype (str, optional): 'float16' or 'bfloat16' for autocast.
        channels_last (bool): Whether to embed in that memory format.
        kmeans (dict): Config of the clusterer, in TASK_UTILS; without
            ``type`` see :func:`~pauc_mm.clustering.build_kmeans`. What it has
            to offer: :func:`~pauc_mm.clustering.cluster_on_ranks`. If its
            ``warm_start`` is true, ``fit`` is also given the centroids of the
            E-step before, as ``init``.
    """

    priority = 'NORMAL'

    def __init__(
        self,
        pipeline: Sequence[dict],
        warmup_epochs: int = 20,
        ramp_epochs: int = 0,
        interval: int = 1,
        batch_size: int = 256,
        num_workers: int = 4,
        features: str = 'extract',
        amp_dtype: str | None = None,
        channels_last: bool = False,
        kmeans: dict | None = None,
    ) -> None:
        for name, value, least in (
            ('warmup_epochs', warmup_epochs, 0),
            ('ramp_epochs', ramp_epochs, 0),
            ('interval', interval, 1),
            ('batch_size', batch_size, 1),
            ('num_workers', num_workers, 0),
        ):
            setattr(self, name, check_integer(f'{_KEY}.{name}', value, least))
        for name, value, choices in (
            ('features', features, ('extract', 'momentum_bank')),
            ('amp_dtype', amp_dtype, (None, 'float16', 'bfloat16')),
            ('channels_last', channels_last, (False, True)),
        ):
            setattr(self, name, check_choice(f'{_KEY}.{name}', value, choices))
        self.pipeline = pipeline
        self.kmeans, self._why = build_kmeans(kmeans)

    def before_train(self, runner: Runner) -> None:
        """Check the whole setup before hours are spent on it.

        Raises:
            TypeError: If the model's prototypes need no E-step, or the loop
                has no epochs.
            ValueError: If sizes do not fit each other, or the pipeline fails.
            RuntimeError: If k-means fails on its device.
        """
        model = _check_model(runner)
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise TypeError(
                'The E-step is made before epochs, but train_cfg.type is '
                f'{type(runner.train_loop).__name__}: use EpochBasedTrainLoop.'
            )
        check_schedule(self.warmup_epochs, self.ramp_epochs, runner.max_epochs)
        if not any(isinstance(hook, SetupCheckHook) for hook in runner.hooks):
            model.check_setup(runner)
        self.dataset = with_pipeline(
            runner.train_dataloader.dataset, Compose(list(self.pipeline))
        )
        dim = model.prototypes.dim
        number = held = len(self.dataset)
        if getattr(self.kmeans, 'sharded', False):
            held = math.ceil(number / get_world_size())
        clusters = model.num_clusters
        check_kmeans_device(self.kmeans, clusters, dim, held, self._why)
        self._try_pipeline(runner)
        least = getattr(self.kmeans, 'min_points_per_centroid', 0)
        small = [k for k in model.num_clusters if number < least * k]
        if small:
            runner.logger.warning(
                f'K={small} leaves fewer than kmeans.min_points_per_centroid='
                f'{least} of the {number} images to a cluster: many clusters '
                'will be singletons.'
            )
        mib, bank = 4 * dim / 2**20, ''
        if self.features == 'momentum_bank':
            size = len(runner.train_dataloader.sampler) * mib
            bank = f' The momentum bank takes {size:.1f} MiB on the device.'
        runner.logger.info(
            f'E-step before epoch {self.warmup_epochs + 1} and then every '
            f'{self.interval} epoch(s): {number} embeddings of {dim} '
            f'dimensions ({held * mib:.1f} MiB a process), '
            f'K={list(model.num_clusters)}.{bank}'
        )
        log_plan(runner, self)

    def _try_pipeline(self, runner: Runner) -> None:
        """Embed two images, so that a fault shows before the warm-up."""
        model, training, error = runner.model, runner.model.training, None
        try:
            pair = [self.dataset[i] for i in (0, len(self.dataset) - 1)]
            options = True, self.amp_dtype, self.channels_last
            samples = embed_batch(
                model.eval(), default_collate(pair), *options
            )[2]
            [sample.sample_idx for sample in samples]
        except Exception as caught:
            error = ValueError(
                f'{_KEY}.pipeline must give one view of each image, all of '
                'one size, packed with sample_idx; it failed: '
                f'{type(caught).__name__}: {caught}'
            )
            error.__cause__ = caught
            if str(caught).startswith('model.'):  # of another key
                error = caught
        model.train(training)
        raise_together(error, f'Trying {_KEY}.pipeline')

    def before_train_epoch(self, runner: Runner) -> None:
        """Make the E-step if it is due, and seed the negatives."""
        model, epoch = get_ori_model(runner.model), runner.epoch
        prototypes = model.prototypes
        if epoch >= self.warmup_epochs and prototypes.epoch != epoch:
            if self._due(epoch) or not prototypes.ready:
                self.e_step(runner, epoch)
        step = epoch + 1 - self.warmup_epochs
        ramping = 0 < step < self.ramp_epochs
        model.prototype_weight = step / self.ramp_epochs if ramping else 1.0
        if ramping:
            runner.logger.info(
                f'Epoch {epoch + 1}: the prototype losses have '
                f'{model.prototype_weight:.2g} of their weight '
                f'({_KEY}.ramp_epochs={self.ramp_epochs}).'
            )
        model.seed_negatives(derive_seed(shared_seed(runner), epoch))
        if self._from_bank_after(runner):
            images = len(runner.train_dataloader.sampler)
            device = next(model.parameters()).device
            prototypes.bank = MomentumBank(images, prototypes.dim, device)

    def after_train_epoch(self, runner: Runner) -> None:
        """Make the E-step of the next epoch from the bank of this one.

        Before the checkpoint is saved, which then holds the prototypes: the
        bank, as large as the matrix of embeddings, need not be in it.
        """
        if self._from_bank_after(runner):
            self.e_step(runner, runner.epoch + 1)

    def _due(self, epoch: int) -> bool:
        since_warmup = epoch - self.warmup_epochs
        return since_warmup >= 0 and since_warmup % self.interval == 0

    def _from_bank_after(self, runner: Runner) -> bool:
        following = runner.epoch + 1
        return (
            self.features == 'momentum_bank'
            and following < runner.max_epochs
            and self._due(following)
        )

    def e_step(self, runner: Runner, epoch: int) -> None:
        """Embed, cluster, estimate the concentrations, hand over.

        Args:
            runner (Runner): The runner.
            epoch (int): The epoch, from 0, that the prototypes are for.

        Raises:
            RuntimeError: If embeddings are not finite, or a rank failed.
        """
        model, times = get_ori_model(runner.model), [time.perf_counter()]
        model.start_momentum_encoder()
        embeddings = self._embed(runner, epoch)  # this rank's of (N, D)
        amp = f'{type(runner.optim_wrapper).__name__} in training and '
        amp += f'{self.amp_dtype} in the E-step'
        check_finite(embeddings, epoch + 1, self._path, amp)
        times.append(time.perf_counter())
        results = self._cluster(embeddings, runner, epoch)  # M clusterings
        del embeddings  # the memory is needed
        times.append(time.perf_counter())
        assignments = [torch.from_numpy(r.assignments) for r in results]
        phi = [
            concentration(
                torch.from_numpy(result.mean_distances),
                torch.bincount(assigned),
                model.temperature,
            )  # (K,), PCL's eq. 12
            for result, assigned in zip(results, assignments)
        ]
        previous = model.prototypes.assignments.cpu()  # (M, N)
        model.prototypes.update(
            [torch.from_numpy(r.centroids) for r in results],
            phi,
            torch.stack(assignments),
            next(model.parameters()).device,
            epoch,
        )
        if is_main_process():
            for m, result in enumerate(results):
                line = clustering_summary(
                    m,
                    model.num_clusters[m],
                    result,
                    phi[m],
                    previous[m] if len(previous) else None,
                    global_batch_size(runner),
                    model.proto_head.num_negatives,
                )
                runner.logger.info(line)
        times.append(time.perf_counter())
        took = [f'{end - start:.1f} s' for start, end in pairwise(times)]
        runner.logger.info(
            f'E-step: {took[0]} to embed the images, {took[1]} to cluster '
            f'them, {took[2]} for the rest.'
        )

    def _embed(self, runner: Runner, epoch: int) -> Shard:
        prototypes = get_ori_model(runner.model).prototypes
        bank, prototypes.bank = prototypes.bank, None
        what = f'embedding {len(self.dataset)} images'
        if bank is not None:
            what = "from the last epoch's momentum embeddings"
        runner.logger.info(f'E-step for epoch {epoch + 1}: {what}.')
        return extract_embeddings(
            runner.model,
            self.dataset,
            self.batch_size,
            self.num_workers,
            description=f'E-step for epoch {epoch + 1}',
            amp_dtype=self.amp_dtype,
            channels_last=self.channels_last,
            bank=bank,
        )

    def _path(self, index: int) -> str | None:
        return self.dataset.get_data_info(index).get('img_path')

    def _cluster(
        self, embeddings: Shard, runner: Runner, epoch: int
    ) -> list[KMeansResult]:
        model, seed = get_ori_model(runner.model), shared_seed(runner)
        clusters, starts = model.num_clusters, None
        seeds = [derive_seed(seed, epoch, m) for m in range(len(clusters))]
        if getattr(self.kmeans, 'warm_start', False):
            starts = [c.cpu().numpy() for c in model.prototypes.centroids]
        return cluster_on_ranks(
            self.kmeans, embeddings, clusters, seeds, starts
        )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the prototypes into the checkpoint."""
        prototypes = get_ori_model(runner.model).prototypes
        checkpoint['clustering'] = dict(
            **_identity(runner), **prototypes.clustering()
        )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the prototypes from the checkpoint when a run is resumed.

        Raises:
            TypeError: If the model's prototypes need no E-step.
            ValueError: If the checkpoint was written by another algorithm,
                on another data set or with other numbers of clusters.
        """
        if not getattr(runner, '_resume', False):
            return
        model = _check_model(runner)
        state = checkpoint.get('clustering')
        if state is None:
            raise ValueError(
                'The checkpoint has no entry "clustering": it was not '
                'written by PCL or PAUC. Resume with the config that wrote '
                'it, or use load_from to start a new run from its weights.'
            )
        check_same_clustering(state, _identity(runner))
        if 'centroids' in state:  # not within the warm-up
            device = next(model.parameters()).device
            model.prototypes.load_clustering(state, device)


def _check_model(runner: Runner) -> nn.Module:
    """Return the model; refuse one whose prototypes need no E-step."""
    model = get_ori_model(runner.model)
    prototypes = getattr(model, 'prototypes', None)
    if not getattr(prototypes, 'needs_e_step', False):
        raise TypeError(
            f'{_KEY} makes an E-step, but this {type(model).__name__} has '
            f'model.prototypes={type(prototypes).__name__}, which needs none. '
            f'Remove {_KEY} (inherit configs/_base_/default_runtime.py, not '
            'clustering_runtime.py), or set '
            "model.prototypes=dict(type='KMeansPrototypes')."
        )
    return model


def _identity(runner: Runner) -> dict:
    """Return what the prototypes of a checkpoint have to agree with."""
    dataset = runner.train_dataloader.dataset
    return dict(
        num_clusters=list(get_ori_model(runner.model).num_clusters),
        num_samples=len(base_dataset(dataset)),
        fingerprint=fingerprint(dataset),
    )
