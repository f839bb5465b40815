# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseAveragedModel, PretrainedInit
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model
from torch import Tensor, nn

from pauc_mm.checkpoints.weights import (
    MIN_MATCHED,
    matching_names,
    read_weights,
    shapes,
)


@HOOKS.register_module()
class BackboneCheckHook(Hook):
    """Refuse to train a backbone whose weights were not loaded.

    mmengine only warns where names in a checkpoint differ from those of the
    model, and trains on from random weights. This hook checks every part of
    the model, as a rule the backbone, that has an
    ``init_cfg=dict(type='Pretrained', checkpoint=..., prefix=...)``: its names
    before they are loaded, and its values before the first step. In a config
    of mmdet its name is ``mmpretrain.BackboneCheckHook``.

    Args:
        min_matched (float): Least share of the tensors of such a part that its
            checkpoint has, with the same shape. Of frozen layers all must be
            there.
    """

    def __init__(self, min_matched: float = MIN_MATCHED) -> None:
        if not 0 < min_matched <= 1:
            raise ValueError(
                'BackboneCheckHook.min_matched must be above 0 and at most 1, '
                f'got {min_matched!r}.'
            )
        self.min_matched = min_matched
        self._expected: dict[str, dict[str, Tensor]] = {}

    def before_run(self, runner: Runner) -> None:
        """Compare names and shapes with those in the checkpoints.

        Raises:
            ValueError: If no checkpoint is named, or weights are not finite.
            FileNotFoundError: If it does not exist.
            RuntimeError: If it has fewer than ``min_matched`` of the tensors.
        """
        self._expected = {}
        if not isinstance(runner.optim_wrapper, OptimWrapper):
            return  # not a training run: nothing is initialised
        for source, parts in _by_source(get_ori_model(runner.model)).items():
            checkpoint, prefix = source
            keys = ', '.join(f'{_key(name)}.init_cfg' for name in parts)
            if not checkpoint:
                raise ValueError(
                    f'{keys}: checkpoint is not set. Name the checkpoint of '
                    'the pretrained weights, or set init_cfg=None to start '
                    'from random ones.'
                )
            try:
                weights = read_weights(checkpoint, prefix)
                names = matching_names(
                    parts, weights, checkpoint, self.min_matched
                )
            except (OSError, RuntimeError, ValueError) as error:
                known = (FileNotFoundError, ValueError)
                kind = type(error) if type(error) in known else RuntimeError
                raise kind(f'{keys}: {error}') from error
            for name, module in parts.items():
                self._expected[name] = {k: weights[k] for k in names[name]}
                runner.logger.info(
                    f'{len(names[name])} of the {len(shapes(module))} tensors '
                    f'of {_key(name)} are in {checkpoint}.'
                )

    def before_train(self, runner: Runner) -> None:
        """Compare the values, unless another checkpoint was loaded since.

        Raises:
            RuntimeError: If a tensor differs from that of the checkpoint.
        """
        expected, self._expected = self._expected, {}
        if getattr(runner, '_resume', False) or runner._load_from:
            return
        model = get_ori_model(runner.model)
        for name, weights in expected.items():
            state = model.get_submodule(name).state_dict()
            changed = [
                k
                for k, v in weights.items()
                if not torch.equal(state[k].cpu(), v.to(state[k].dtype))
            ]
            if changed:
                raise RuntimeError(
                    f'{len(changed)} of the {len(weights)} tensors of '
                    f'{_key(name)} differ from those of its checkpoint, '
                    f'although the names fit: {", ".join(changed[:3])} ... '
                    'They were initialised again after they were loaded, by '
                    'an init_weights of the model or a hook.'
                )


def _key(name: str) -> str:
    return f'model.{name}' if name else 'model'


def _by_source(model: nn.Module) -> dict[tuple, dict[str, nn.Module]]:
    """Group pretrained parts of a model by (checkpoint, prefix)."""
    copies = {  # of momentum encoders, which take the other one's weights
        part
        for average in model.modules()
        if isinstance(average, BaseAveragedModel)
        for part in average.modules()
    }
    sources: dict[tuple, dict[str, nn.Module]] = {}
    for name, part in model.named_modules():
        inits = getattr(part, 'init_cfg', None) or []
        for init in [inits] if isinstance(inits, dict) else inits:
            pretrained = init.get('type') in ('Pretrained', PretrainedInit)
            if pretrained and part not in copies:
                source = init.get('checkpoint'), init.get('prefix')
                sources.setdefault(source, {})[name] = part
    return sources
