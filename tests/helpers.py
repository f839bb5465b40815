# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A data set and a model so small that a real run takes a second."""

import copy
import datetime
import multiprocessing
import os
import uuid
import warnings

import numpy as np
import torch
from mmengine.config import Config
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

import pauc_mm  # noqa: F401
from pauc_mm.checkpoints import Checkpoint

NUM_CLASSES = 4


@DATASETS.register_module()
class TinyImages(BaseDataset):
    """8x8 images of four kinds of gradient with noise, made from a seed."""

    METAINFO = {'classes': tuple('abcd')}

    def __init__(self, num_images=48, seed=0, **kwargs):
        self.num_images = num_images
        self.seed = seed
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self):
        rng = np.random.default_rng(self.seed)
        ramp = np.linspace(0, 255, 8)
        kinds = [
            np.tile(ramp, (8, 1)),
            np.tile(ramp[::-1], (8, 1)),
            np.tile(ramp[:, None], (1, 8)),
            np.tile(ramp[::-1, None], (1, 8)),
        ]
        data = []
        for i in range(self.num_images):
            label = i % NUM_CLASSES
            image = kinds[label] + rng.normal(0, 25, (8, 8))
            image = np.repeat(image.clip(0, 255)[:, :, None], 3, axis=2)
            data.append(dict(img=image.astype(np.uint8), gt_label=label))
        return data


PLAIN = [dict(type='PackInputs')]
TWO_VIEWS = [
    dict(
        type='MultiView',
        num_views=2,
        transforms=[
            [
                dict(type='RandomCrop', crop_size=8, padding=1),
                dict(type='RandomFlip', prob=0.5),
            ]
        ],
    ),
    dict(type='PackInputs'),
]


def model_cfg(kind='PAUC', **changes):
    """Config of a model of 8-pixel images."""
    cfg = dict(
        type=kind,
        queue_len=64,
        feat_dim=8,
        momentum=0.05,
        num_clusters=[4, 6],
        data_preprocessor=dict(
            type='SelfSupDataPreprocessor',
            mean=[127.5] * 3,
            std=[127.5] * 3,
        ),
        backbone=dict(type='TinyConvNet', channels=(8, 16), strides=(1, 2)),
        neck=dict(
            type='LinearNeck',
            in_channels=16,
            out_channels=8,
            gap_dim=2,
            norm_cfg=None,
        ),
        head=dict(
            type='ContrastiveHead',
            loss=dict(type='CrossEntropyLoss'),
            temperature=0.1,
        ),
        proto_head=dict(type='ProtoNCEHead', num_negatives=8),
    )
    if kind == 'PAUC':
        cfg.update(
            align_loss=dict(type='PrototypeAlignmentLoss'),
            uniform_loss=dict(type='PrototypeUniformityLoss'),
            corr_loss=dict(type='PrototypeCorrelationLoss'),
        )
    cfg.update(copy.deepcopy(changes))
    return cfg


def loader_cfg(pipeline=None, batch_size=16, **dataset):
    """Config of a dataloader over :class:`TinyImages`."""
    training = pipeline is TWO_VIEWS
    return dict(
        batch_size=batch_size,
        num_workers=0,
        drop_last=training,
        sampler=dict(type='DefaultSampler', shuffle=training),
        collate_fn=dict(type='default_collate'),
        dataset=dict(type='TinyImages', pipeline=pipeline or PLAIN, **dataset),
    )


def folder_loader_cfg(folder, pipeline, training=False):
    """Config of a dataloader over a folder of class folders."""
    return dict(
        loader_cfg(batch_size=4),
        drop_last=training,
        sampler=dict(type='DefaultSampler', shuffle=training),
        dataset=dict(
            type='ImageFolder',
            data_root=str(folder),
            with_label=True,
            pipeline=pipeline,
        ),
    )


def run_cfg(work_dir, kind='PAUC', max_epochs=4, warmup_epochs=1, **changes):
    """Config of a whole run; ``changes`` are merged as dicts are."""
    cfg = Config(
        dict(
            default_scope='mmpretrain',
            work_dir=str(work_dir),
            model=model_cfg(kind),
            train_dataloader=loader_cfg(TWO_VIEWS),
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=max_epochs),
            optim_wrapper=dict(
                optimizer=dict(type='SGD', lr=0.05, momentum=0.9)
            ),
            param_scheduler=[
                dict(type='CosineAnnealingLR', T_max=max_epochs, by_epoch=True)
            ],
            default_hooks=dict(
                checkpoint=dict(
                    type='CheckpointHook',
                    interval=1,
                    max_keep_ckpts=3,
                    backend_args=dict(backend='atomic'),
                ),
                setup_check=dict(type='SetupCheckHook'),
                checkpoint_guard=dict(type='CheckpointGuardHook'),
                epoch_seed=dict(type='EpochSeedHook'),
                clustering=dict(
                    type='ClusteringHook',
                    warmup_epochs=warmup_epochs,
                    pipeline=PLAIN,
                    num_workers=0,
                    kmeans=dict(type='FaissKMeans', nredo=2),
                ),
                sampler_seed=dict(type='DistSamplerSeedHook'),
                logger=dict(type='LoggerHook', interval=1),
            ),
            randomness=dict(seed=7),
            log_level='WARNING',
            launcher='none',
            # mmengine's loggers and message hubs are found by this name
            experiment_name=f'test_{uuid.uuid4().hex}',
        )
    )
    cfg.merge_from_dict(changes)
    return cfg


def images_batch(num=6, views=2, seed=0):
    """Raw batch as a dataloader collates it."""
    from mmpretrain.structures import DataSample

    generator = torch.Generator().manual_seed(seed)
    shape = (num, 3, 8, 8)
    pixels = [
        torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        for _ in range(views)
    ]
    samples = [
        DataSample(metainfo=dict(sample_idx=i)).set_gt_label(i % NUM_CLASSES)
        for i in range(num)
    ]
    return dict(inputs=pixels, data_samples=samples)


def apart(model, by=0.3):
    """Start the momentum encoders, and move the model away from them.

    In a first step they are equal, and to take one for the other shows not.
    """
    advance(model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if '_k.' not in name:
                parameter.add_(by * torch.randn_like(parameter))
    return model


def advance(model):
    """Move the momentum encoders a step, as a training step does first."""
    model.encoder_k.update_parameters(
        torch.nn.Sequential(model.backbone, model.neck)
    )
    if getattr(model, 'prototypes_k', None) is not None:
        model.prototypes_k.update_parameters(model.prototypes)


def embed_by_hand(model, dataset, rows, momentum=False):
    """Features and embeddings, one image at a time."""
    backbone, neck = model.backbone, model.neck
    if momentum:
        backbone, neck = model.encoder_k.module
    model.eval()
    features, embeddings = [], []
    for row in rows:
        image = torch.from_numpy(dataset.get_data_info(int(row))['img'])
        image = (image.permute(2, 0, 1)[None].float() - 127.5) / 127.5
        with torch.no_grad():
            (maps,) = backbone(image)
            features.append(maps.mean(dim=(2, 3)))
            embeddings.append(neck((maps,))[0])
    embeddings = torch.cat(embeddings)
    return torch.cat(features), embeddings / embeddings.norm(dim=1)[:, None]


_forkserver = multiprocessing.get_context('forkserver')
_forkserver.set_forkserver_preload(['tests.forked'])


def _rank(function, rank, world_size, folder, args):
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    # Processes of gloo that share a GPU are nothing that is supported.
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
    os.environ['LOCAL_RANK'] = str(rank)
    torch.distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/rendezvous',
        rank=rank,
        world_size=world_size,
        timeout=datetime.timedelta(seconds=60),
    )
    result = function(*args)
    torch.save(result, f'{folder}/result_{rank}.pt')
    torch.distributed.destroy_process_group()


def run_ranks(function, world_size, folder, *args):
    """Run a function in processes joined by gloo; its results by rank."""
    folder.mkdir(parents=True, exist_ok=True)
    processes = [
        _forkserver.Process(
            target=_rank, args=(function, rank, world_size, folder, args)
        )
        for rank in range(world_size)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError(f'exit codes {[p.exitcode for p in processes]}')
    return [
        torch.load(folder / f'result_{rank}.pt', weights_only=False)
        for rank in range(world_size)
    ]


def assert_same(left, right, where=''):
    """Compare two checkpoints, or parts of them, bit for bit."""
    if isinstance(left, torch.Tensor):
        assert torch.equal(left, right), where
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_same(left[key], right[key], f'{where}.{key}')
    elif isinstance(left, (list, tuple)):
        assert len(left) == len(right), where
        for i, (a, b) in enumerate(zip(left, right)):
            assert_same(a, b, f'{where}[{i}]')
    else:
        assert left == right, where


def load_encoder(path, config=None, trust=False, **options):
    """Open a checkpoint and load its encoder."""
    return Checkpoint.open(path, config, trust).encoder(**options)
