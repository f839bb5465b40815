# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Table of the layouts of checkpoints: how each project names its tensors.

To add a layout, add one :class:`Layout` to :data:`LAYOUTS`:

1. ``name``, for the user, and ``options``, under which ``--layout`` of the
   converters knows it.
2. ``online`` and, if the file has a moving average, ``momentum``: the
   prefixes of the backbone, the head and the prototypes, as they are after
   :func:`~.file.find_weights` has cut off ``module.``. Below the backbone's
   prefix stand torchvision's names of a ResNet.
3. ``sign``: a prefix that a key of such a file has and others have not. The
   first layout of the table that matches is taken, so that the more special
   one stands first.
4. ``activation`` of the head, and ``rename_head`` if its layers are not
   numbered as in a ``Sequential``.
5. A small network of that layout in tests/test_checkpoints/source_models.py,
   and a test that :meth:`.Checkpoint.encoder` computes what it does.

Sources: facebookresearch/moco (moco/builder.py), facebookresearch/moco-v3,
salesforce/PCL (pcl/builder.py), facebookresearch/swav (src/resnet50.py),
facebookresearch/dino (main_dino.py, utils.MultiCropWrapper),
facebookresearch/barlowtwins and vicreg, facebookresearch/vissl
(vissl/models, heads/swav_prototypes_head.py), vturrisi/solo-learn
(solo/methods/base.py), mmpretrain 1.2, torchvision.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from pauc_mm.utils.checks import check_choice, listed

from .file import State
from .inferred_resnet import PARAMETER, SIGN
from .projection_head import sequential_neck
from .weights import select


@dataclass(frozen=True)
class Names:
    """Prefixes of the parts of one encoder."""

    backbone: str
    head: str | None = None  # of the projection head
    prototypes: tuple[str, ...] = ()

    @property
    def beside(self) -> tuple[str, ...]:
        """Prefixes of the parts beside the backbone."""
        return (*filter(None, [self.head]), *self.prototypes)


@dataclass(frozen=True)
class Layout:
    """Names of the tensors in one project's checkpoints."""

    name: str  # for the user
    online: Names  # parts of the encoder that is trained
    momentum: Names | None = None  # parts of its moving average
    sign: str = ''  # prefix of some key, beside those of a ResNet
    options: tuple[str, ...] = ()  # values of --layout
    activation: str = 'ReLU'  # class in torch.nn, in the projection head
    # Maps the state of the head to the names of a Sequential.
    rename_head: Callable[[State], State] | None = None
    # Longer name, in which '{network}' stands for the backbone, or a function
    # of the weights that returns it.
    title: str | Callable[[State], str] = ''
    advice: str = ''  # for users of the online encoder
    # mmpretrain's names, so that a config can build backbone and head.
    is_openmm: bool = False
    is_guessed: bool = False  # the names were found for this file alone
    stem_padding: int = 1  # of a first convolution of 3x3

    def matches(self, weights: State) -> bool:
        """Tell whether weights are of this layout, with a ResNet."""
        has_resnet = self.online.backbone + SIGN in weights
        return has_resnet and self.has_sign(weights)

    def has_sign(self, weights: State) -> bool:
        """Tell whether a key begins with the sign of this layout."""
        return any(key.startswith(self.sign) for key in weights)

    def unexplained(self, weights: State) -> list[str]:
        """Return the keys that are not known to this layout."""
        known = [n for n in (self.online, self.momentum) if n is not None]
        beside = ('queue', 'fc.', *(p for n in known for p in n.beside))
        backbones = [n.backbone for n in known]
        return [
            key
            for key in weights
            if not key.startswith(beside)
            and not any(
                key.startswith(b) and PARAMETER.fullmatch(key, len(b))
                for b in backbones
            )
        ]

    def names(self, weights: State, momentum: bool, path: str) -> Names:
        """Return the names of the online or the momentum encoder.

        Prototypes are the online encoder's where the momentum encoder has
        none of its own.

        Raises:
            ValueError: If the momentum encoder is wanted and is not there.
        """
        if not momentum:
            return self.online
        names = self.momentum
        if names is None or not select(weights, names.backbone):
            raise ValueError(
                f"'{path}' ({self.name}) has no momentum encoder: leave out "
                'momentum=True (--momentum).'
            )
        if not names.prototypes:
            names = replace(names, prototypes=self.online.prototypes)
        return names

    def describe(self, weights: State, network: str) -> str:
        """Return the title, such as 'official MoCo v2', with the network."""
        title = self.title(weights) if callable(self.title) else self.title
        return (title or self.name).replace('{network}', network)


def _title_of_moco(weights: State) -> str:
    """Name MoCo or PCL, whose names are the same, by the queue's length."""
    version = 'v2' if 'encoder_q.fc.0.weight' in weights else 'v1'
    queue = weights['queue'].shape[-1] if 'queue' in weights else 0
    names = {65536: 'MoCo', 16384: 'PCL'}  # the official defaults
    return f'official {names.get(queue, "MoCo or PCL")} {version}'


def _title_of_swav(weights: State) -> str:
    several = 'prototypes.prototypes0.weight' in weights
    return 'official SwAV' + ' or DeepCluster-v2' * several


def _names_of_dino(net: str) -> Names:
    head = f'{net}.head.'
    return Names(f'{net}.backbone.', f'{head}mlp.', (f'{head}last_layer.',))


_OPENMM = Layout(
    'mmpretrain',
    Names(
        'backbone.',
        'neck.',
        # SwAV's, and those of pauc_mm's own algorithms
        ('head.loss_module.prototypes.', 'prototypes.'),
    ),
    sign='neck.',
    options=('mmpretrain',),
    rename_head=sequential_neck,
    title='mmpretrain {network}',
    is_openmm=True,
)
_TORCHVISION = Layout(
    'torchvision',
    Names(''),
    options=('torchvision',),
    title='torchvision {network}',
)

LAYOUTS = (
    Layout(
        'official DINO',
        _names_of_dino('student'),
        _names_of_dino('teacher'),
        sign='student.head.',
        options=('dino',),
        activation='GELU',
        advice='This is the student; DINO evaluates its teacher, which '
        'momentum=True (--momentum) takes.',
    ),
    Layout(
        'official MoCo',
        Names('encoder_q.', 'encoder_q.fc.'),
        Names('encoder_k.', 'encoder_k.fc.'),
        sign='encoder_q.',
        options=('moco', 'pcl'),
        title=_title_of_moco,
    ),
    Layout(
        'official MoCo v3',
        Names('base_encoder.', 'base_encoder.fc.'),
        Names('momentum_encoder.', 'momentum_encoder.fc.'),
        sign='base_encoder.',
        options=('mocov3',),
    ),
    Layout(
        'official SwAV',
        Names('', 'projection_head.', ('prototypes.',)),
        sign='prototypes.',
        options=('swav',),
        title=_title_of_swav,
    ),
    Layout(
        'solo-learn',
        Names('backbone.', 'projector.', ('prototypes.',)),
        Names('momentum_backbone.', 'momentum_projector.'),
        sign='classifier.',
        options=('solo-learn',),
        title='solo-learn {network}',
        stem_padding=2,
    ),
    Layout(
        'VISSL',
        Names(
            'trunk._feature_blocks.',
            'heads.0.projection_head.',
            ('heads.0.prototypes',),
        ),
        sign='trunk.',
        options=('vissl',),
        title='VISSL {network}',
    ),
    Layout(
        'Barlow Twins or VICReg',
        Names('backbone.', 'projector.'),
        sign='projector.',
        options=('barlowtwins',),
        title='{network} with the names of Barlow Twins and VICReg',
    ),
    *(
        replace(
            _OPENMM,
            momentum=Names(f'{average}.module.0.', f'{average}.module.1.'),
            sign=f'{average}.module.0.',
        )
        for average in ('encoder_k', 'target_net', 'momentum_encoder')
    ),
    _OPENMM,
    _TORCHVISION,
)

LAYOUT_CHOICES = tuple(
    dict.fromkeys(option for layout in LAYOUTS for option in layout.options)
)
"""Values of ``--layout``; PCL's names are MoCo's."""

_AVERAGED = re.compile(r'encoder_k|key|momentum|teacher|target|ema\b')
_OTHERS = (
    (r'patch_embed|cls_token|blocks\.\d+\.attn', 'a vision transformer'),
    (r'dwconv|downsample_layers', 'a ConvNeXt'),
    (r'features\.', 'a VGG, AlexNet, DenseNet or MobileNet'),
    (r'denoise|unet|vae\.', 'a generative model'),
)


def find_layout(weights: State, has_config: bool, path: str) -> Layout:
    """Find the layout of a checkpoint.

    It is the first of :data:`LAYOUTS` that matches, or a guess for the only
    ResNet in the file, under whatever prefix. Where a config builds the
    backbone, or the file is mmengine's, it need not be a ResNet.

    Raises:
        ValueError: If there is no ResNet, or there are several. The message
            names the closest layout and keys that are not of it.
    """
    for layout in LAYOUTS:
        is_theirs = not layout.is_openmm and layout is not _TORCHVISION
        if is_theirs and layout.matches(weights):
            return layout
    if any(k.startswith('backbone.') for k in weights) and (
        has_config or any(x.is_openmm and x.matches(weights) for x in LAYOUTS)
    ):
        return _openmm_layout(weights)
    prefixes = [key[: -len(SIGN)] for key in weights if key.endswith(SIGN)]
    averaged = [p for p in prefixes if _AVERAGED.search(p)]
    online = [p for p in prefixes if p not in averaged] or averaged
    if len(online) == 1:
        guess = _resnet_under(online[0], weights)
        if len(averaged) == 1 and averaged != online:
            average = _resnet_under(averaged[0], weights)
            guess = replace(guess, momentum=average.online)
        return guess
    raise ValueError(
        f"'{path}' has {_other_network(weights, online)}. "
        f'{_closest(weights)}. Known are ResNets of pauc_mm, mmpretrain, '
        'torchvision, VISSL, solo-learn and the official MoCo, PCL, SwAV, '
        'DINO, Barlow Twins and VICReg. Any other network needs the config '
        'that builds it: --config. '
        'Converters also take --layout, or --prefix with the prefix of a '
        'ResNet.'
    )


def choose_layout(
    weights: State, option: str | None, prefix: str | None, path: str
) -> Layout:
    """Return the layout that the user names, if a checkpoint has it.

    It is one of :data:`LAYOUT_CHOICES`, or the prefix of a ResNet with
    torchvision's names.

    Raises:
        ValueError: If it is unknown, or no key has its names.
    """
    if prefix is not None:
        prefix = f'{prefix.rstrip(".")}.' if prefix else ''
        layout = _resnet_under(prefix, weights)
        chosen = f'--prefix {prefix!r}'
    else:
        check_choice('--layout', option, LAYOUT_CHOICES)
        layout = next(x for x in LAYOUTS if option in x.options)
        layout = _openmm_layout(weights) if layout.is_openmm else layout
        chosen = f'--layout {option}'
    sign = '' if layout.is_openmm else SIGN
    nets = [n for n in (layout.online, layout.momentum) if n]
    if any(k.startswith(n.backbone + sign) for k in weights for n in nets):
        return layout
    raise ValueError(
        f"{chosen} does not fit '{path}': no key begins with "
        f"'{layout.online.backbone}{sign}'. Its {len(weights)} keys are "
        f'{listed(weights)}.'
    )


def _openmm_layout(weights: State) -> Layout:
    """Return mmpretrain's layout with the momentum encoder that is there."""
    for layout in LAYOUTS:
        if layout.is_openmm and layout.has_sign(weights):
            return layout
    return _OPENMM


def _resnet_under(prefix: str, weights: State) -> Layout:
    """Make a layout for a ResNet with torchvision's names under a prefix."""
    title = _TORCHVISION.title
    if prefix:
        title = f"{{network}} under '{prefix}'"
    online = Names(prefix, _head_beside(weights, prefix))
    return replace(_TORCHVISION, online=online, title=title, is_guessed=True)


def _head_beside(weights: State, backbone: str) -> str | None:
    """Return the prefix of a Sequential that takes the features, if any."""
    parent = ''.join(backbone[:-1].rpartition('.')[:2])
    name = re.escape(backbone) + r'layer\d\.\d+\.conv\d\.weight'
    last = max((k for k in weights if re.fullmatch(name, k)), default=None)
    if last is None:
        return None
    width = len(weights[last])
    heads = [backbone + 'fc.']
    for name in ('projector', 'projection_head', 'projection', 'head'):
        heads += [f'{parent}{name}.{inner}' for inner in ('', 'layers.')]
    for prefix in heads:
        first = weights.get(prefix + '0.weight')
        if first is not None and first.shape[1:] == (width,):
            return prefix
    return None


def _other_network(weights: State, resnets: list[str]) -> str:
    if resnets:
        return f'several ResNets ({", ".join(map(repr, sorted(resnets)))})'
    for pattern, name in _OTHERS:
        if any(re.search(pattern, key) for key in weights):
            return f'what looks like {name}, and no ResNet'
    return 'no ResNet'


def _closest(weights: State) -> str:
    layout = min(LAYOUTS, key=lambda layout: len(layout.unexplained(weights)))
    strange = layout.unexplained(weights)
    first = ', '.join(strange[:3])
    number = len(weights)
    if len(strange) == number:
        return f'None of its {number} keys is of a known layout, first {first}'
    return (
        f'The closest known layout is {layout.name}: {len(strange)} of its '
        f'{number} keys are not of that layout, first {first}'
    )
