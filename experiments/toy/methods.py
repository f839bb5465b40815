# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Methods of the toy experiment.

Another one takes an entry of :data:`METHODS`: a name for the command line, a
label for table and plot, and a function that returns the config of a model for
3-D points. :func:`model_cfg` has the parts that all of them share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .point_models import LiteralSignPAUC, PointMLP, PointPreprocessor
from .settings import Settings


@dataclass(frozen=True)
class Method:
    """One line of the comparison.

    Attributes:
        label (str): Name in table and plot.
        config (Callable): Function of (number of classes, settings) that
            returns the config of a registered model.
        clustered (bool): Whether the clustering hook computes prototypes.
            Defaults to True.
        by_default (bool): Whether it is run without being named.
            Defaults to True.
    """

    label: str
    config: Callable[[int, Settings], dict]
    clustered: bool = True
    by_default: bool = True


def model_cfg(kind: str, settings: Settings, **more) -> dict:
    """Return the config of a MoCo from 3-D points onto the unit circle."""
    return dict(
        type=kind,
        data_preprocessor=dict(type=PointPreprocessor.__name__),
        backbone=dict(
            type=PointMLP.__name__, in_channels=3, channels=_layers(settings)
        ),
        neck=dict(
            type='LinearNeck',
            in_channels=settings.width,
            out_channels=2,
            norm_cfg=None,
        ),
        head=dict(
            type='ContrastiveHead',
            loss=dict(type='CrossEntropyLoss'),
            temperature=settings.temperature,
        ),
        queue_len=settings.queue_len,
        feat_dim=2,
        momentum=settings.momentum,
        **more,
    )


def _layers(settings: Settings) -> list[int]:
    return [settings.width, settings.width]


def _moco(classes: int, settings: Settings) -> dict:
    """Configure the MoCo of mmpretrain itself."""
    return model_cfg('MoCo', settings)


def _pcl(classes: int, settings: Settings, kind: str = 'PCL', **more) -> dict:
    """Configure PCL with K = C, 2C, 4C; all other prototypes are negatives."""
    return model_cfg(
        kind,
        settings,
        num_clusters=[classes, 2 * classes, 4 * classes],
        proto_head=dict(type='ProtoNCEHead', num_negatives=4 * classes),
        **more,
    )


def _pauc(
    alpha: float, beta: float, gamma: float, kind: str = 'PAUC'
) -> Callable[[int, Settings], dict]:
    """Configure PAUC with weights of alignment, uniformity, correlation."""
    weights = dict(align=alpha, uniform=beta, corr=gamma)
    types = dict(
        align='PrototypeAlignmentLoss',
        uniform='PrototypeUniformityLoss',
        corr='PrototypeCorrelationLoss',
    )
    # A term of weight 0 costs time for nothing.
    terms = {
        f'{name}_loss': dict(type=types[name], loss_weight=weight)
        for name, weight in weights.items()
        if weight
    }

    def config(classes: int, settings: Settings) -> dict:
        return _pcl(classes, settings, kind, **terms)

    return config


METHODS: dict[str, Method] = {
    'moco': Method('MoCo (InfoNCE)', _moco, clustered=False),
    'pcl': Method('PCL', _pcl),
    'pauc-20-20-5': Method('PAUC (20, 20, 5)', _pauc(20, 20, 5)),
    'pauc-50-5-1': Method('PAUC (50, 5, 1)', _pauc(50, 5, 1)),
    'pauc-0-100-0': Method('PAUC (0, 100, 0)', _pauc(0, 100, 0)),
    'pauc-literal': Method(
        'PAUC (20, 20, 5), literal sign',
        _pauc(20, 20, 5, LiteralSignPAUC.__name__),
        by_default=False,
    ),
}
