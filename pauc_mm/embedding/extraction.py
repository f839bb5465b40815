# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Dataset, Subset

from pauc_mm.models.embed import embed_batch, encoder_of
from pauc_mm.models.prototypes.momentum_bank import MomentumBank
from pauc_mm.utils import progress, raise_together, share_buffers

_ROWS_AT_ONCE = 65536


@torch.no_grad()
def extract_embeddings(
    model: nn.Module,
    dataset: Dataset,
    batch_size: int,
    num_workers: int = 0,
    momentum: bool = True,
    description: str = 'E-step',
    amp_dtype: str | None = None,
    channels_last: bool = False,
    bank: MomentumBank | None = None,
) -> torch.Tensor:
    """Embed a data set: every sample exactly once, in the order of the data.

    Each rank embeds its share and writes it into its rows of a zero matrix;
    the matrices are summed. With a bank only the images that no rank has
    seen are embedded here. A collective call.

    Args:
        model (nn.Module): The algorithm, wrapped or not. Its mode is
            restored afterwards.
        dataset (Dataset): Gives one view of each image, with
            ``sample_idx`` in the data sample.
        batch_size (int): Images a batch on each rank.
        num_workers (int): Worker processes. Defaults to 0.
        momentum (bool): Whether the momentum encoder is used.
            Defaults to True.
        description (str): Label of the progress bar.
        amp_dtype (str, optional): 'float16' or 'bfloat16' for autocast.
            Defaults to None: full precision.
        channels_last (bool): Whether the images go through the network in
            that memory format. Defaults to False.
        bank (MomentumBank, optional): This rank's embeddings of the epoch
            before. For an image that was seen several times, by one rank or
            by several, their normalised mean is taken.

    Returns:
        Tensor: l2-normalised embeddings, shape (N, D), float32, on the CPU,
        the same on every rank.

    Raises:
        RuntimeError: If a sample was not embedded exactly once, or another
            rank failed.
    """
    num_samples = len(dataset)
    visits = torch.zeros(num_samples, dtype=torch.int32)
    matrix, unseen = None, None
    if bank is not None:
        matrix = torch.zeros(num_samples, bank.embeddings.shape[1])
        bank.sum_into(matrix, visits)
        unseen = _unseen(visits)
        dataset = Subset(dataset, unseen.tolist())
        print_log(
            f'{len(unseen)} of {num_samples} images have no momentum '
            'embedding and are embedded now.',
            logger='current',
        )
    if len(dataset):
        share_buffers(*encoder_of(model, momentum))
        loader = _loader(dataset, batch_size, num_workers)
        was_training = model.training
        model.eval()
        error = None
        try:
            for batch in progress(loader, description):
                _, embeddings, samples = embed_batch(
                    model, batch, momentum, amp_dtype, channels_last
                )
                rows = torch.tensor([s.sample_idx for s in samples])
                if matrix is None:
                    matrix = torch.zeros(num_samples, embeddings.shape[1])
                matrix[rows] = embeddings.cpu()
                visits.index_add_(0, rows, torch.ones_like(rows).int())
        except Exception as caught:
            # A rank that left here alone would hang the others.
            error = caught
        finally:
            model.train(was_training)
        raise_together(error, 'Embedding the training set')
    if get_world_size() > 1:
        matrix = _sum_over_ranks(matrix, num_samples)
        all_reduce(visits)
    _check_visits(visits, unseen)
    if bank is not None:
        _normalize(matrix, torch.nonzero(visits > 1).flatten())
    return matrix


def _loader(dataset, batch_size: int, num_workers: int) -> DataLoader:
    return Runner.build_dataloader(
        dict(
            dataset=dataset,
            sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
            batch_size=batch_size,
            num_workers=num_workers,
            collate_fn=dict(type='default_collate'),
        ),
        seed=0,
    )


def _unseen(visits: torch.Tensor) -> torch.Tensor:
    """Places of the images that no rank has in its bank, ascending."""
    visits = visits.clone()
    all_reduce(visits)
    return torch.nonzero(visits == 0).flatten()


def _normalize(matrix: torch.Tensor, rows: torch.Tensor) -> None:
    for part in rows.split(_ROWS_AT_ONCE):
        matrix[part] = F.normalize(matrix[part], dim=1)


def _sum_over_ranks(matrix, num_samples: int) -> torch.Tensor:
    """Sum in slices, so that a GPU never holds the whole matrix."""
    width = torch.tensor([0 if matrix is None else matrix.shape[1]])
    all_reduce(width, op='max')
    if matrix is None:  # fewer samples than ranks
        matrix = torch.zeros(num_samples, int(width))
    for rows in matrix.split(_ROWS_AT_ONCE):  # views
        all_reduce(rows)
    return matrix


def _check_visits(visits: torch.Tensor, unseen: torch.Tensor | None) -> None:
    """Each sample once; with a bank, those that it did not have."""
    once = visits if unseen is None else visits[unseen]
    places = torch.arange(len(visits)) if unseen is None else unseen
    missing = places[once == 0]
    repeated = places[once > 1]
    if len(missing) or len(repeated):
        raise RuntimeError(
            f'The E-step must embed each of the {len(places)} samples once, '
            f'but {len(missing)} were not embedded (first: '
            f'{missing[:5].tolist()}) and {len(repeated)} more than once '
            f'(first: {repeated[:5].tolist()}). Check that sample_idx is '
            'unique in the training data set.'
        )


def check_finite(
    embeddings: torch.Tensor,
    epoch: int,
    path: Callable[[int], str | None] | None = None,
    amp: str = 'off',
) -> None:
    """Stop with the facts if an embedding is NaN or infinite.

    Args:
        embeddings (Tensor): Shape (N, D).
        epoch (int): Epoch for the message.
        path (callable, optional): From the number of a sample to its file,
            or None. Defaults to None.
        amp (str): Where there is half precision, for the message. Defaults
            to 'off'.

    Raises:
        RuntimeError: How many samples, which first, and what to try.
    """
    # In slices: isfinite makes more than a copy of what it looks at.
    finite = torch.cat(
        [
            torch.isfinite(rows).all(dim=1)
            for rows in embeddings.split(_ROWS_AT_ONCE // 4)
        ]
    )
    bad = torch.nonzero(~finite).flatten()
    if not len(bad):
        return
    first = []
    for i in bad[:5].tolist():
        name = path(i) if path is not None else None
        first.append(f'{i} ({name})' if name else str(i))
    raise RuntimeError(
        f'{len(bad)} of {len(embeddings)} embeddings are not finite in epoch '
        f'{epoch}; first sample_idx: {", ".join(first)}. AMP: {amp}. Lower '
        'the learning rate (optim_wrapper.optimizer.lr) or clip gradients '
        '(optim_wrapper.clip_grad); with fp16 AMP try "bfloat16", in training '
        '(optim_wrapper.dtype) or in the E-step '
        '(default_hooks.clustering.amp_dtype).'
    )
