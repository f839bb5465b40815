# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, get_rank
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS

from pauc_mm.clustering import sample_negative_prototypes
from pauc_mm.models.losses.functional import proto_nce
from pauc_mm.models.prototypes.prototype_sets import (
    PrototypeSets,
)


@MODELS.register_module()
class ProtoNCEHead(BaseModule):
    """Prototype part of ProtoNCE: the mean over M clusterings (PCL, eq. 11).

    The InfoNCE part of that equation is the job of the algorithm's
    contrastive head. The whole batch, over all ranks, shares its negatives,
    so that a run on several processes has the loss of a run on one.

    Args:
        num_negatives (int): r, prototypes drawn as negatives for the batch.
            Defaults to 16000.
        mask_same_cluster (bool): Whether another sample's copy of a sample's
            own prototype is left out of its negatives. False is the official
            implementation. Defaults to True.
        init_cfg (dict, optional): Initialization config. Defaults to None.

    Raises:
        ValueError: If ``num_negatives`` is not a positive integer.
    """

    def __init__(
        self,
        num_negatives: int = 16000,
        mask_same_cluster: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if not isinstance(num_negatives, int) or num_negatives < 1:
            raise ValueError(
                'model.proto_head.num_negatives (r) must be an integer >= 1, '
                f'16000 in the papers, not {num_negatives!r}.'
            )
        self.num_negatives = num_negatives
        self.mask_same_cluster = mask_same_cluster
        self._generator: torch.Generator | None = None

    @property
    def seeded(self) -> bool:
        """Whether a clustering hook serves this head."""
        return self._generator is not None

    def seed(self, seed: int, device: torch.device) -> None:
        """Seed the drawing of negatives, alike on all ranks.

        Args:
            seed (int): The seed.
            device (torch.device): Where the prototypes are.
        """
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device=device)
        self._generator.manual_seed(seed)

    def loss(
        self,
        query: torch.Tensor,
        prototypes: PrototypeSets,
        assigned: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """The loss and the prototype accuracy of each clustering.

        Args:
            query (Tensor): l2-normalised embeddings, shape (N, D).
            prototypes (PrototypeSets): The M sets.
            assigned (Tensor): Prototypes of the samples, shape (M, N), int64.

        Returns:
            dict[str, Tensor]: ``loss_protonce``, and ``acc_proto_{m}`` for
            each clustering, in [0, 1].
        """
        query = query.float()
        generator = self._generator
        if generator is not None and generator.device != query.device:
            generator = None
        whole_batch = torch.cat(list(all_gather(assigned.contiguous())), dim=1)
        negatives, mask = self._draw(prototypes.sizes, whole_batch, generator)
        with torch.autocast(query.device.type, enabled=False):
            loss, accuracy = proto_nce(
                query,
                prototypes.all_centroids,
                prototypes.all_concentrations,
                whole_batch + prototypes.offsets,
                (negatives + prototypes.offsets, mask),
                rank_offset=get_rank() * len(query),
                mask_same_cluster=self.mask_same_cluster,
            )
        losses = {f'acc_proto_{m}': a for m, a in enumerate(accuracy)}
        losses['loss_protonce'] = loss
        return losses

    def _draw(self, sizes, batch_ids, generator):
        """Candidate negatives of each set and which count, both (M, R)."""
        drawn = [
            sample_negative_prototypes(k, ids, self.num_negatives, generator)
            for k, ids in zip(sizes, batch_ids)
        ]
        # Sets with fewer prototypes are filled up with what does not count.
        width = max(len(ids) for ids, _ in drawn)
        candidates, masks = zip(
            *([F.pad(x, (0, width - len(x))) for x in pair] for pair in drawn)
        )
        return torch.stack(candidates), torch.stack(masks)
