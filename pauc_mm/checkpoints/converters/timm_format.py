# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A ResNet or ViT for timm: a file, or a folder as on Hugging Face's hub."""

import json
import os
import re
from pathlib import Path

from mmpretrain.models.backbones import VisionTransformer
from torch import Tensor

from pauc_mm.checkpoints.file import State
from pauc_mm.checkpoints.weights import renamed
from pauc_mm.models.embed import pooled
from pauc_mm.utils.require import require

from .model_card import model_card
from .networks import timm_resnet
from .plan import Files, Plan, Source, loaded, preprocessing, weights_file

WEIGHTS = 'model.safetensors'

# timm's sizes of a ViT: width, depth and heads.
_VITS = {
    (192, 12, 3): 'vit_tiny_patch16_224',
    (384, 12, 6): 'vit_small_patch16_224',
    (768, 12, 12): 'vit_base_patch16_224',
    (1024, 24, 16): 'vit_large_patch16_224',
}
_VIT_DEFAULTS = dict(
    img_size=224,
    patch_size=16,
    in_chans=3,
    mlp_ratio=4.0,
    qkv_bias=True,
    init_values=None,
    pre_norm=False,
    reg_tokens=0,
)
# Arguments by mmpretrain's out_type and final_norm.
_POOLS: dict[tuple[str, bool], dict] = {
    ('cls_token', True): {},
    ('featmap', True): dict(global_pool='avg', fc_norm=False),
    ('avg_featmap', False): dict(global_pool='avg'),
}
_REGISTERS = 'pre_norm.0.tokens'
# The other way is inferred_vit.TIMM_TO_MMPRETRAIN.
_VIT_NAMES = (
    (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
    (r'^pre_norm\.0\.tokens$', 'reg_token'),
    (r'^pre_norm\.(?:1\.)?', 'norm_pre.'),
    (r'^ln1\.', 'norm.'),
    (r'^ln2\.', 'fc_norm.'),
    (r'^layers\.', 'blocks.'),
    (r'\.ln([12])\.', r'.norm\1.'),
    (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
    (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
    (r'\.(?:attn|ffn)\.gamma([12])\.weight', r'.ls\1.gamma'),
)


def vit_to_timm(weights: State) -> State:
    """Rename the weights of mmpretrain's ViT as timm names them.

    Beside registers timm's class token has no position: it is added to it.
    """
    state = renamed(weights, _VIT_NAMES)
    if _REGISTERS in weights:
        positions = state['pos_embed']
        state['cls_token'] = state['cls_token'] + positions[:, :1]
        state['pos_embed'] = positions[:, 1:]
    return state


def timm_plan(
    source: Source,
    hub: bool = False,
    measures: str | os.PathLike | None = None,
) -> Plan:
    """Plan to write what ``timm.create_model`` loads.

    One file, or the folder of a ``hub``: weights, config and model card, with
    the values of ``measures``, a JSON.

    Raises:
        ImportError: If timm is not installed.
        ValueError: If timm has no such network.
    """
    timm = require('timm', '"pauc_mm[export]"', '--to timm or huggingface')
    encoder = source.checkpoint.encoder(source.momentum)
    side, notes = preprocessing(encoder)
    like, network = source.like, source.network
    if like is not None:
        arch, args = timm_resnet(like)
        state = source.weights
    elif isinstance(network, VisionTransformer):
        arch, args = _vit(network, source.weights)
        state, side = vit_to_timm(source.weights), source.size
    else:
        raise ValueError(
            f"The backbone of '{source.checkpoint.path}' is {source.name}, "
            'and only ResNets and ViTs are written for timm. --to onnx takes '
            'any, and --to mmpretrain writes it alone.'
        )
    channels = source.channels
    mean = encoder.preprocess['mean'] or [0] * channels
    std = encoder.preprocess['std'] or [1] * channels
    cfg = dict(
        num_classes=0,
        input_size=(channels, side, side),
        mean=[round(value / 255, 6) for value in mean],
        std=[round(value / 255, 6) for value in std],
        crop_pct=7 / 8,  # as our evaluations load image files
        interpolation='bilinear',
    )
    model = timm.create_model(
        arch, num_classes=0, pretrained_cfg_overlay=cfg, **args
    )
    loaded(model, state)

    def features(images: Tensor) -> Tensor:
        return pooled(network(images))

    def stages(images: Tensor) -> list[Tensor]:
        return model.forward_intermediates(
            images, indices=4, intermediates_only=True
        )

    usage = "model = timm.create_model('local-dir:{path}', pretrained=True)"
    if not hub:
        shown = ''.join(f', {key}={value!r}' for key, value in args.items())
        usage = (
            f'model = timm.create_model({arch!r}, num_classes=0{shown},\n'
            "                          checkpoint_path='{path}')"
        )

    def write(path: Path, meta: dict) -> Files:
        shown = usage.replace('{path}', '.')
        card = model_card(path.name, meta, encoder, shown, measures)
        own = 'fixed_input_size', 'first_conv', 'classifier'
        config = dict(
            architecture=arch,
            num_classes=0,
            num_features=model.num_features,
            model_args=args,
            pretrained_cfg=dict(
                cfg, **{key: model.pretrained_cfg[key] for key in own}
            ),
        )
        weights = weights_file(Path(WEIGHTS), state, meta)
        # The weights last: without them the folder is no checkpoint.
        text = json.dumps(config, indent=2)
        return {
            'README.md': card.encode(),
            'config.json': text.encode(),
            WEIGHTS: weights,
        }

    return Plan(
        stages if like is not None else model,
        state,
        usage,
        notes,
        reference=network if like is not None else features,
        write=write if hub else None,
    )


def _vit(model: VisionTransformer, weights: State) -> tuple[str, dict]:
    """Return timm's name of a ViT, and the arguments that it needs."""
    pool = _POOLS.get((model.out_type, model.final_norm))
    if pool is None or 'layers.0.ffn.w12.weight' in weights:
        raise ValueError(
            f'model.backbone.out_type={model.out_type!r} with final_norm='
            f'{model.final_norm}, or SwiGLU: a ViT is written for timm with '
            "an MLP, whose features are the class token ('cls_token') or the "
            "mean of the patches ('featmap') after the last norm, or "
            "'avg_featmap' without final_norm. --to onnx takes any."
        )
    sizes = model.arch_settings
    width = sizes['embed_dims']
    filters = weights['patch_embed.projection.weight']
    args = dict(
        img_size=model.img_size[0],
        patch_size=filters.shape[-1],
        in_chans=filters.shape[1],
        mlp_ratio=sizes['feedforward_channels'] / width,
        qkv_bias='layers.0.attn.qkv.bias' in weights,
        init_values=1e-5 if 'layers.0.attn.gamma1.weight' in weights else None,
        pre_norm=any(re.match(r'pre_norm.*weight', k) for k in weights),
        reg_tokens=getattr(model, 'num_registers', 0),
    )
    args = {k: v for k, v in args.items() if v != _VIT_DEFAULTS[k]}
    args.update(pool)
    if 'reg_tokens' in args:
        args['no_embed_class'] = True
    shape = (width, sizes['num_layers'], sizes['num_heads'])
    if shape not in _VITS:
        args.update(zip(('embed_dim', 'depth', 'num_heads'), shape))
    return _VITS.get(shape, 'vit_small_patch16_224'), args
