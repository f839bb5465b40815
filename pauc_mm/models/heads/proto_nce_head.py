# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, get_rank, get_world_size
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS

from pauc_mm.clustering import sample_negative_prototypes
from pauc_mm.models.losses.functional import proto_nce
from pauc_mm.models.prototypes import BasePrototypes
from pauc_mm.utils.checks import check_integer


@MODELS.register_module()
class ProtoNCEHead(BaseModule):
    """Prototype part of ProtoNCE: the mean over M sets (PCL, eq. 11).

    The InfoNCE part of that equation is the job of the algorithm's
    contrastive head. The whole batch, over all ranks, shares its negatives,
    so that a run on several processes has the loss of a run on one.

    Args:
        num_negatives (int): r, prototypes drawn as negatives for the batch.
        mask_same_cluster (bool): Whether another sample's copy of a sample's
            own prototype is left out of its negatives. False is the official
            implementation.
        init_cfg (dict, optional): Initialization config.
    """

    def __init__(
        self,
        num_negatives: int = 16000,
        mask_same_cluster: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.num_negatives = check_integer(
            'model.proto_head.num_negatives',
            num_negatives,
            1,
            fix='The papers use r = 16000.',
        )
        self.mask_same_cluster = mask_same_cluster

    def loss(
        self,
        query: torch.Tensor,
        prototypes: BasePrototypes,
        assigned: torch.Tensor,
        generator: torch.Generator | None = None,
    ) -> dict[str, torch.Tensor]:
        """Compute the loss, and the prototype accuracy of each set.

        Args:
            query (Tensor): l2-normalised v, shape (N, D), float32.
            prototypes (BasePrototypes): The M sets.
            assigned (Tensor): Prototypes of the samples, shape (M, N), int64.
            generator (torch.Generator, optional): Draws the negatives; on the
                device of ``query``, and seeded alike on all ranks. Defaults
                to the global one, on one process.

        Returns:
            dict[str, Tensor]: ``loss_protonce``, and ``acc_proto_{m}`` for
            each set, in [0, 1].

        Raises:
            ValueError: If there is no generator, but there are other ranks.
        """
        if generator is None and get_world_size() > 1:
            raise ValueError(
                f'generator is None on {get_world_size()} processes, which '
                'would draw different negatives: call model.seed_negatives('
                'seed) with the same seed on each.'
            )
        ids = torch.cat(list(all_gather(assigned.contiguous())), dim=1)
        negatives, mask = self._draw(prototypes, ids, generator)
        loss, accuracy = proto_nce(
            query,
            prototypes.vectors(),
            prototypes.concentrations(),
            prototypes.rows(ids),
            (prototypes.rows(negatives), mask),
            rank_offset=get_rank() * len(query),
            mask_same_cluster=self.mask_same_cluster,
        )
        losses = {f'acc_proto_{m}': a for m, a in enumerate(accuracy)}
        losses['loss_protonce'] = loss
        return losses

    @torch.compiler.disable  # K may change with each E-step
    def _draw(self, prototypes, ids, generator):
        """Draw candidate negatives and which count, both (M, R)."""
        drawn = [
            sample_negative_prototypes(k, own, self.num_negatives, generator)
            for k, own in zip(prototypes.sizes, ids)
        ]
        # Smaller sets are padded with candidates that do not count.
        width = max(len(candidates) for candidates, _ in drawn)
        candidates, masks = zip(
            *([F.pad(x, (0, width - len(x))) for x in pair] for pair in drawn)
        )
        return torch.stack(candidates), torch.stack(masks)
