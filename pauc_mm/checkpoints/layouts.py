# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Table of the layouts of checkpoints: how each project names its tensors.

To add a layout, add one :class:`Layout` to :data:`LAYOUTS`:

1. ``name``, for the user, and ``options``, under which ``--layout`` of the
   converters knows it.
2. ``online`` and, if the file has a moving average, ``momentum``: the
   prefixes of the backbone, the head and the prototypes, as they are after
   :func:`~.file.find_weights` has cut off ``module.``. Below the backbone's
   prefix stand the names of a network that :mod:`.inferred` knows. A file
   may have the prototypes alone.
3. ``sign``: how a key of such a file begins and others do not, a regular
   expression. The first layout of the table that matches is taken, so that
   the more special one stands first.
4. ``activation`` of the head, and ``rename_head`` if its layers are not
   numbered as in a ``Sequential``.
5. A small network of that layout in tests/test_checkpoints/source_models.py,
   and a test that :meth:`.Checkpoint.encoder` computes what it does.

Sources: facebookresearch/moco (moco/builder.py), facebookresearch/moco-v3,
salesforce/PCL (pcl/builder.py), facebookresearch/swav (src/resnet50.py),
facebookresearch/dino (main_dino.py, utils.MultiCropWrapper), bytedance/ibot
(models/head.py), facebookresearch/msn (src/msn_train.py), dinov2
(dinov2/train/ssl_meta_arch.py), webssl and capi, sthalles/carp (main_carp.py),
facebookresearch/barlowtwins and vicreg, facebookresearch/vissl
(vissl/models, heads/swav_prototypes_head.py), vturrisi/solo-learn
(solo/methods/base.py), mmpretrain 1.2, torchvision.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pauc_mm.utils.checks import check_choice, listed

from .file import State
from .inferred import KNOWN, find_networks, has_network
from .projection_head import sequential_neck
from .weights import select


@dataclass(frozen=True)
class Names:
    """Prefixes of the parts of one encoder."""

    backbone: str
    head: str | None = None  # of the projection head
    prototypes: tuple[str, ...] = ()
    # of those of patches, which are not in the space of an image's embedding
    patch_prototypes: tuple[str, ...] = ()

    @property
    def beside(self) -> tuple[str, ...]:
        """Prefixes of the parts beside the backbone."""
        return (
            *filter(None, [self.head]),
            *self.prototypes,
            *self.patch_prototypes,
        )

    def are_in(self, weights: State) -> bool:
        """Tell whether weights have the network or the prototypes."""
        return has_network(weights, self.backbone) or any(
            key.startswith(self.prototypes) for key in weights
        )


@dataclass(frozen=True)
class Layout:
    """Names of the tensors in one project's checkpoints."""

    name: str  # for the user
    online: Names  # parts of the encoder that is trained
    momentum: Names | None = None  # parts of its moving average
    sign: str = ''  # regular expression of the beginning of some key
    options: tuple[str, ...] = ()  # values of --layout
    activation: str = 'ReLU'  # class in torch.nn, in the projection head
    # Maps the state of the head to the names of a Sequential.
    rename_head: Callable[[State], State] | None = None
    # Longer name, in which '{network}' stands for the backbone, or a function
    # of the weights that returns it. By default both names.
    title: str | Callable[[State], str] = ''
    advice: str = ''  # for users of the online encoder
    # mmpretrain's names, so that a config can build backbone and head.
    is_openmm: bool = False
    is_guessed: bool = False  # the names were found for this file alone
    network: dict = field(default_factory=dict)  # see infer_backbone

    def matches(self, weights: State) -> bool:
        """Tell whether weights are of this layout."""
        return self.has_sign(weights) and any(
            names.are_in(weights)
            for names in (self.online, self.momentum)
            if names is not None
        )

    def has_sign(self, weights: State) -> bool:
        """Tell whether a key begins with the sign of this layout."""
        return any(re.match(self.sign, key) for key in weights)

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
                key.startswith(b) and KNOWN.fullmatch(key, len(b))
                for b in backbones
            )
        ]

    def names(self, weights: State, momentum: bool, path: str) -> Names:
        """Return the names of the online or the momentum encoder.

        The momentum encoder's where it alone is in the file. Prototypes are
        the online encoder's where the momentum encoder has none of its own.

        Raises:
            ValueError: If the momentum encoder is wanted and is not there.
        """
        names = self.momentum
        if names is not None and not self.online.are_in(weights):
            momentum = momentum or names.are_in(weights)
        if not momentum:
            return self.online
        if names is None or not (
            select(weights, names.backbone) or names.are_in(weights)
        ):
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
        return (title or f'{self.name} {{network}}').replace(
            '{network}', network
        )


_HEAD = r'(?:student\.|teacher\.)?(?:head\.)?'


def _title_of_moco(weights: State) -> str:
    """Name MoCo or PCL, whose names are the same, by the queue's length."""
    version = 'v2' if 'encoder_q.fc.0.weight' in weights else 'v1'
    queue = weights['queue'].shape[-1] if 'queue' in weights else 0
    names = {65536: 'MoCo', 16384: 'PCL'}  # the official defaults
    return f'official {names.get(queue, "MoCo or PCL")} {version}'


def _title_of_swav(weights: State) -> str:
    several = 'prototypes.prototypes0.weight' in weights
    return 'official SwAV' + ', DeepCluster-v2 or SeLa-v2' * several


def _names_of_dino(net: str, head: str) -> Names:
    last = f'{net}{head}last_layer'
    patches = f'{last}2.', f'{net}ibot_head.last_layer.'  # iBOT's, DINOv2's
    return Names(f'{net}backbone.', f'{net}{head}mlp.', (f'{last}.',), patches)


def _head_of_msn(weights: State) -> State:
    """Number fc1, bn1, fc2, bn2, fc3, which may lack BatchNorm."""
    step = 3 if any(key.startswith('bn') for key in weights) else 2
    return {
        re.sub(
            r'^(fc|bn)(\d)',
            lambda m: str(step * (int(m[2]) - 1) + (m[1] == 'bn')),
            key,
        ): value
        for key, value in weights.items()
    }


def _like_dino(
    name: str, sign: str, head: str = 'head.'
) -> tuple[Layout, ...]:
    """Make the layouts of a project whose networks are named as DINO's.

    For its files, for the state of one network, and for that of a head.
    """
    layout = Layout(
        f'official {name}',
        _names_of_dino('student.', head),
        _names_of_dino('teacher.', head),
        sign,
        options=(name.lower(),),
        activation='GELU',
        advice=f'This is the student; {name} evaluates its teacher, which '
        'momentum=True (--momentum) takes.',
        network=dict(norm_epsilon=1e-6),  # in iBOT's Swin too
    )
    alone = replace(layout, momentum=None, advice='')
    return (
        layout,
        replace(alone, online=_names_of_dino('', head)),
        replace(alone, online=_names_of_dino('', '')),
    )


_OPENMM = Layout(
    'mmpretrain',
    Names(
        'backbone.',
        'neck.',
        # SwAV's, and those of pauc_mm's own algorithms
        ('head.loss_module.prototypes.', 'prototypes.'),
    ),
    sign=r'neck\.',
    options=('mmpretrain',),
    rename_head=sequential_neck,
    is_openmm=True,
)
_TORCHVISION = Layout(
    'torchvision',
    Names(''),
    options=('torchvision',),
)

LAYOUTS = (
    *_like_dino(
        'DINOv2', r'(?:student\.|teacher\.)?dino_head\.', 'dino_head.'
    ),
    Layout(
        'official DINOv2',
        Names(''),
        sign='mask_token$',
        options=('dinov2',),
    ),
    Layout(
        'official CAPI',
        Names('student.backbone.', None, ('student.head.last_layer.',)),
        Names('teacher.backbone.', None, ('teacher.head.layer.',)),
        sign=r'teacher\.head\.layer\.',
        options=('capi',),
    ),
    Layout(
        'official CAPI',
        Names('backbone.', None, ('head.layer.', 'head.last_layer.')),
        sign=r'head\.layer\.|backbone\.encoder\.blocks\.0\.residual1\.',
        options=('capi',),
    ),
    *_like_dino('iBOT', _HEAD + r'last_layer2\.'),
    *_like_dino('DINO', r'dino_loss\.'),
    *_like_dino('CARP', _HEAD + r'mlp\.4\.running_mean'),
    *_like_dino('DINO', _HEAD + r'mlp\.'),
    Layout(
        'official MSN',
        Names('encoder.', 'encoder.fc.', ('prototypes',)),
        Names('target_encoder.', 'target_encoder.fc.'),
        sign=r'encoder\.fc\.fc1\.',
        options=('msn',),
        activation='GELU',
        rename_head=_head_of_msn,
        advice='This is the anchor encoder; MSN evaluates its target encoder, '
        'which momentum=True (--momentum) takes.',
    ),
    Layout(
        'official MoCo',
        Names('encoder_q.', 'encoder_q.fc.'),
        Names('encoder_k.', 'encoder_k.fc.'),
        sign=r'encoder_q\.',
        options=('moco', 'pcl'),
        title=_title_of_moco,
    ),
    *(
        Layout(
            'official MoCo v3',
            Names('base_encoder.', f'base_encoder.{head}.'),
            Names('momentum_encoder.', f'momentum_encoder.{head}.'),
            sign=rf'base_encoder\.{sign}',
            options=('mocov3',),
            network=dict(num_heads={384: 12}),  # vits.py
        )
        for head, sign in (('fc', 'layer1'), ('head', ''))
    ),
    Layout(
        'official SwAV',
        Names('', 'projection_head.', ('prototypes.',)),
        sign=r'projection_head\.',
        options=('swav',),
        title=_title_of_swav,
    ),
    Layout(
        'solo-learn',
        Names('backbone.', 'projector.', ('prototypes.',)),
        Names('momentum_backbone.', 'momentum_projector.'),
        sign=r'classifier\.',
        options=('solo-learn',),
        network=dict(padding=2),
    ),
    Layout(
        'VISSL',
        Names(
            'trunk._feature_blocks.',
            'heads.0.projection_head.',
            ('heads.0.prototypes',),
        ),
        sign=r'trunk\.',
        options=('vissl',),
    ),
    Layout(
        'Barlow Twins or VICReg',
        Names('backbone.', 'projector.'),
        sign=r'projector\.',
        options=('barlowtwins',),
        title='{network} with the names of Barlow Twins and VICReg',
    ),
    *(
        replace(
            _OPENMM,
            momentum=Names(f'{average}.module.0.', f'{average}.module.1.'),
            sign=rf'{average}\.module\.0\.',
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
_PROTOTYPES = re.compile(
    r'(?:.*\.)?(?:prototypes|centroids|last_layer)(?=\d*\.|$)'
)
_OTHERS = (
    (r'cls_token|blocks\.\d+\.attn', 'a vision transformer of another form'),
    (r'dwconv|downsample_layers', 'a ConvNeXt'),
    (r'features\.', 'a VGG, AlexNet, DenseNet or MobileNet'),
    (r'denoise|unet|vae\.', 'a generative model'),
)


def find_layout(weights: State, has_config: bool, path: str) -> Layout:
    """Find the layout of a checkpoint.

    It is the first of :data:`LAYOUTS` that matches, or a guess for the only
    network in the file, under whatever prefix, or for prototypes alone. Where
    a config builds the backbone, or the file is mmengine's, it may be any
    network.

    Raises:
        ValueError: If there is neither a network nor prototypes, or there
            are several networks. The message names the closest layout and
            keys that are not of it.
    """
    for layout in LAYOUTS:
        is_theirs = not layout.is_openmm and layout is not _TORCHVISION
        if is_theirs and layout.matches(weights):
            return layout
    if any(k.startswith('backbone.') for k in weights) and (
        has_config or any(x.is_openmm and x.matches(weights) for x in LAYOUTS)
    ):
        return _openmm_layout(weights)
    prefixes = find_networks(weights)
    averaged = [p for p in prefixes if _AVERAGED.search(p)]
    online = [p for p in prefixes if p not in averaged] or averaged
    if len(online) == 1:
        guess = _network_under(online[0], weights)
        if len(averaged) == 1 and averaged != online:
            average = _network_under(averaged[0], weights)
            guess = replace(guess, momentum=average.online)
        return guess
    matrices = [m[0] for m in map(_PROTOTYPES.match, weights) if m]
    if len(weights) == 1 and next(iter(weights.values())).dim() == 2:
        matrices = list(weights)
    if matrices and not online:
        names = Names('', None, tuple(dict.fromkeys(matrices)))
        return Layout('prototypes alone', names)
    raise ValueError(
        f"'{path}' has {_other_network(weights, online)}. "
        f'{closest(weights)}. Known are ResNets and vision transformers of '
        'pauc_mm, mmpretrain, torchvision, timm, VISSL, solo-learn and the '
        'official MoCo, PCL, SwAV, DINO, iBOT, MSN, DINOv2, CARP, Barlow '
        'Twins and VICReg. Any other network needs the config that builds it: '
        '--config. Converters also take --layout, or --prefix with the prefix '
        'of the network.'
    )


def choose_layout(
    weights: State, option: str | None, prefix: str | None, path: str
) -> Layout:
    """Return the layout that the user names, if a checkpoint has it.

    It is one of :data:`LAYOUT_CHOICES`, or the prefix of a network with
    torchvision's or timm's names.

    Raises:
        ValueError: If it is unknown, or no key has its names.
    """
    if prefix is not None:
        prefix = f'{prefix.rstrip(".")}.' if prefix else ''
        layouts = [_network_under(prefix, weights)]
        chosen = f'--prefix {prefix!r}'
    else:
        check_choice('--layout', option, LAYOUT_CHOICES)
        layouts = [x for x in LAYOUTS if option in x.options]
        if layouts[0].is_openmm:
            layouts = [_openmm_layout(weights)]
        chosen = f'--layout {option}'
    for layout in layouts:
        nets = [n for n in (layout.online, layout.momentum) if n]
        for net in nets:
            if net.are_in(weights) or (
                layout.is_openmm and select(weights, net.backbone)
            ):
                return layout
    raise ValueError(
        f"{chosen} does not fit '{path}': no network is under "
        f"'{layouts[0].online.backbone}'. Its {len(weights)} keys are "
        f'{listed(weights)}.'
    )


def _openmm_layout(weights: State) -> Layout:
    """Return mmpretrain's layout with the momentum encoder that is there."""
    for layout in LAYOUTS:
        if layout.is_openmm and layout.has_sign(weights):
            return layout
    return _OPENMM


def _network_under(prefix: str, weights: State) -> Layout:
    """Make a layout for a network with its usual names under a prefix."""
    owner = find_networks(weights).get(prefix, 'torchvision')
    title = f'{owner} {{network}}'
    if prefix:
        title = f"{{network}} under '{prefix}'"
    online = Names(prefix, _head_beside(weights, prefix))
    return replace(_TORCHVISION, online=online, title=title, is_guessed=True)


def _head_beside(weights: State, backbone: str) -> str | None:
    """Return the prefix of a Sequential that takes the features, if any."""
    parent = ''.join(backbone[:-1].rpartition('.')[:2])
    name = re.escape(backbone) + r'(?:layer\d\.\d+\.conv\d|norm)\.weight'
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


def _other_network(weights: State, networks: list[str]) -> str:
    if networks:
        names = ', '.join(map(repr, sorted(networks)))
        return f'several networks ({names})'
    for pattern, name in _OTHERS:
        if any(re.search(pattern, key) for key in weights):
            return f'what looks like {name}, and no network that is known'
    return 'no network that is known'


def closest(weights: State) -> str:
    """Name the closest layout and some keys that are not of it."""
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
