# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mmengine.config import Config
from torch import nn

from pauc_mm.models.checks import check_clusters
from pauc_mm.utils.checks import check_integer

from .costs import (
    Pass,
    Shape,
    is_sharded,
    kmeans_bytes,
    kmeans_flops,
    model_bytes,
    network_passes,
)
from .speeds import Speeds

# Numbers by group; keys end in their unit.
Plan = dict[str, dict[str, Any]]


class Images(NamedTuple):
    """Size of a training set."""

    number: int  # N, of the E-step
    an_epoch: int  # more where they are repeated


@dataclass
class Training:
    """A training whose costs are added up for a process."""

    cfg: Config
    model: nn.Module
    hook: Any
    kmeans: Any  # of the hook, where the training is to run
    ranks: int
    views: Sequence[Shape]  # of an image in training
    passes: Mapping[Shape | None, Pass]  # by shape; None: in the E-step
    speeds: Speeds

    def plan(self, images: Images) -> Plan:
        """Add up all of it."""
        loader, loop = self.cfg.train_dataloader, self.cfg.train_cfg
        ranks = self.ranks
        batch = loader.get('batch_size')
        batch = check_integer('train_dataloader.batch_size', batch, 1)
        local = -(-images.an_epoch // ranks)  # a sampler rounds up
        left = 0 if loader.get('drop_last') else batch - 1
        steps = (local + left) // batch
        if not steps:
            raise ValueError(
                f'{images.an_epoch} images give no step of '
                f'train_dataloader.batch_size={batch} on each of {ranks} '
                'processes: lower it, or leave out drop_last.'
            )
        query, key = network_passes(self.model, len(self.views))
        flops = [self.passes[shape].flops for shape in self.views]
        # A backward pass is two forward passes.
        flops = 3 * sum(flops[:query]) + sum(flops[:key])
        epoch = self._pass(
            *('training', steps * batch * flops, self.speeds.network),
            *(images.an_epoch, self.speeds.loading),
            loader.get('num_workers', 0),
        )
        epochs = loop.get('max_epochs') or loop.max_iters / steps
        memory = model_bytes(self.model, self.cfg.optim_wrapper.optimizer)
        saved = sum(memory.values())
        kept = sum(self.passes[shape].kept for shape in self.views[:query])
        memory |= dict(gradients=memory['weights'], activations=kept * batch)
        plan: Plan = dict(
            size=dict(
                images=images.number,
                images_a_step=batch * ranks,
                steps_an_epoch=steps,
                steps=round(steps * epochs),
            ),
            epoch=epoch,
        )
        run = dict(epochs_seconds=epochs * epoch['total_seconds'])
        if self.hook is not None:
            of_e_step = self._memory(images)
            memory |= of_e_step
            # The file has assignments in 32 bits.
            saved += of_e_step['prototypes'] + of_e_step['assignments'] // 2
            plan['size']['clusters'] = list(self.model.num_clusters)
            plan['e_step'] = e_step = self._e_step(images.number)
            after = epochs - self.hook.warmup_epochs
            due = max(0, math.ceil(after / self.hook.interval))
            share = e_step['total_seconds'] / self.hook.interval
            e_step['part_of_epoch_share'] = share / epoch['total_seconds']
            late = e_step['first_kmeans_seconds'] - e_step['kmeans_seconds']
            total = due * e_step['total_seconds'] + (late if due else 0)
            plan['size']['number_of_e_steps'] = due
            run['e_steps_seconds'] = total
        plan['run'] = run | dict(checkpoint_bytes=saved)
        plan['memory'] = {f'{k}_bytes': size for k, size in memory.items()}
        return plan

    def _pass(
        self,
        name: str,
        flops: float,
        speed: float,
        images: int,
        loading_speed: float,
        workers: int,
    ) -> dict[str, float]:
        """Return the costs of a pass of the images through the network."""
        seconds, workers = flops / speed, workers * self.ranks
        cores = min(workers, self.speeds.cores or workers) or 1
        loading = images / loading_speed / cores
        together = max(seconds, loading) if workers else seconds + loading
        return {
            f'{name}_flops': flops,
            f'{name}_seconds': seconds,
            'loading_seconds': loading,
            'cores_to_keep_up': images / loading_speed / seconds,
            'total_seconds': together,
        }

    def _memory(self, images: Images) -> dict[str, int]:
        """Return the bytes of an E-step."""
        clusters, dim = self.model.num_clusters, self.model.prototypes.dim
        share = self.ranks if is_sharded(self.kmeans) else 1
        sizes = dict(
            prototypes=4 * sum(clusters) * (dim + 1),
            assignments=8 * len(clusters) * images.number,
            embeddings=4 * dim * -(-images.number // share),
            kmeans=kmeans_bytes(self.kmeans, max(clusters), dim),
        )
        if self.hook.features == 'momentum_bank':
            local = -(-images.an_epoch // self.ranks)
            sizes['momentum_bank'] = local * (4 * dim + 8)
        return sizes

    def _e_step(self, number: int) -> dict[str, float]:
        """Return operations and seconds of an E-step."""
        kmeans, speeds, costs = self.kmeans, self.speeds, {}
        clusters, dim = (
            list(self.model.num_clusters),
            self.model.prototypes.dim,
        )
        check_clusters(clusters, number)
        if self.hook.features == 'extract':
            rows = -(-number // self.ranks)
            costs = self._pass(
                *('embedding', rows * self.passes[None].flops),
                *(speeds.embedding, number, speeds.loading_whole),
                self.hook.num_workers,
            )
        cold = kmeans.niter * kmeans.nredo
        for name, runs in (
            ('first_kmeans', cold),
            ('kmeans', kmeans.warm_niter if kmeans.warm_start else cold),
        ):
            each = [
                kmeans_flops(kmeans, k, dim, number, runs) for k in clusters
            ]
            # A clustering that is not shared is one rank's.
            least = 0 if is_sharded(self.kmeans) else max(each)
            costs[f'{name}_flops'] = max(sum(each) / self.ranks, least)
            costs[f'{name}_seconds'] = costs[f'{name}_flops'] / speeds.kmeans
        if is_sharded(self.kmeans) and self.ranks > 1:
            # Around a ring, all but its own part passes a rank twice.
            sent = 8 * sum(clusters) * (dim + 1) * (1 - 1 / self.ranks)
            costs['all_reduce_bytes'] = sent * runs
        costs['total_seconds'] = (
            costs.get('total_seconds', 0) + costs['kmeans_seconds']
        )
        return costs
