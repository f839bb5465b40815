# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Configs of checkpoints, and the networks and data that they describe."""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmpretrain.registry import DATASETS, MODELS, TRANSFORMS
from torch import nn

from pauc_mm.embedding.preprocessing import array_side, loads_files
from pauc_mm.utils.shipped_files import PREFIX, resolve_config

from .file import TRUST
from .plain_config import (
    loads_foreign_files,
    parse_plain_config,
    plain,
    restrict_data,
    restrict_types,
    strings,
)


@dataclass
class CheckpointConfig:
    """Config with a rule of what it may build.

    Raises:
        ValueError: If it has no model with a backbone.
    """

    cfg: Config
    source: str  # description of its origin, for messages
    trusted: bool  # may build whatever it names
    notes: list[str] = field(default_factory=list)  # for the user

    def __post_init__(self) -> None:
        model = self.cfg.get('model')
        if not isinstance(model, dict) or not model.get('backbone'):
            raise ValueError(
                f'There is no model with a backbone in {self.source}: name '
                'the config of the pretraining with --config.'
            )

    @property
    def kind(self) -> str:
        """Package and class of the model, such as 'pauc_mm PAUC'."""
        name = _type_name(self.cfg.model)
        # Not MODELS.get, which would import a module of an unknown name.
        found = MODELS.module_dict.get(name)
        package = getattr(found, '__module__', 'mmpretrain')
        return f'{package.partition(".")[0]} {name}'

    def build(self, part: str) -> nn.Module:
        """Build the 'backbone' or 'neck' with fresh weights.

        Raises:
            ValueError: If it cannot be built, or an untrusted config names
                a type that is not allowed.
        """
        part_cfg = self.cfg.model[part]
        try:
            if not self.trusted:
                part_cfg = restrict_types(plain(part_cfg), MODELS)
            module = MODELS.build(part_cfg)
        except Exception as error:
            trust = [] if self.trusted else [f'{TRUST}.']
            more = ' '.join([*self.notes, *trust])
            raise ValueError(
                f'The {part} of {self.source} cannot be built: {error}. Name '
                f'a config that can be with --config. {more}'
            ) from error
        return revert_sync_batchnorm(module)

    def preprocess(self) -> dict:
        """Return ``mean``, ``std`` and ``to_rgb`` of the preprocessor."""
        cfg = self.cfg.model.get('data_preprocessor')
        cfg = cfg or self.cfg.get('data_preprocessor') or {}
        if cfg.get('mean') is None:
            self._note('The config does not normalise its images.')
        return dict(
            mean=plain(cfg.get('mean')),
            std=plain(cfg.get('std')),
            to_rgb=bool(cfg.get('to_rgb') or cfg.get('bgr_to_rgb')),
        )

    def data(self) -> tuple[list | None, dict | None]:
        """Return the pipeline of one view and the data set of evaluation.

        From the val dataloader, else the test dataloader; the pipeline else
        from the clustering hook.
        """
        for name in ('val_dataloader', 'test_dataloader'):
            dataset = plain((self.cfg.get(name) or {}).get('dataset'))
            if dataset and (pipeline := _pipeline(dataset)):
                break
        else:
            hook = (self.cfg.get('default_hooks') or {}).get('clustering')
            pipeline, dataset = plain((hook or {}).get('pipeline')), None
        return (
            self._allowed(pipeline, 'pipeline'),
            self._allowed(dataset, 'data set'),
        )

    def encoder_text(self) -> str:
        """Write backbone, normalisation and pipeline, without ``init_cfg``.

        The side of the images is noted where the pipeline takes arrays. The
        text is literals that :func:`parse_plain_config` reads.

        Raises:
            ValueError: If one is not plain, not registered, or names a file.
        """
        pipeline, dataset = self.data()
        model = dict(
            type=_type_name(self.cfg.model),
            backbone=restrict_types(plain(self.cfg.model.backbone), MODELS),
            data_preprocessor=self.preprocess(),
        )
        text = f'model = {model!r}\n'
        if pipeline is not None:
            pipeline = restrict_types(pipeline, TRANSFORMS, DATASETS)
            hooks = dict(clustering=dict(pipeline=pipeline))
            text += f'default_hooks = {hooks!r}\n'
            if dataset and not loads_files(pipeline):
                with suppress(ValueError):  # then --image-size is asked for
                    text += f'image_size = {array_side(dataset, pipeline)}\n'
        parts = [model, pipeline]
        if loads_foreign_files(parts) or any(map(_is_path, strings(parts))):
            raise ValueError('it names a file')
        parse_plain_config(text)
        return text

    def _allowed(self, cfg: Any, what: str) -> Any:
        if cfg is None or self.trusted:
            return cfg
        try:
            return restrict_data(cfg)
        except ValueError as error:
            self._note(f'The {what} of {self.source} was left out: {error}.')
            return None

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


def named_config(named: str | Config) -> CheckpointConfig:
    """Return a config that the user names, which is trusted.

    A file may be ``pauc_mm::NAME`` or ``mmpretrain::NAME`` too.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no config, or has no model with a backbone.
    """
    cfg = named if isinstance(named, Config) else read_config(named)
    label = getattr(cfg, 'filename', None) or 'that was given'
    return CheckpointConfig(cfg, f'the config {label}', True)


def stored_config(text: str, trust: bool, path: str) -> CheckpointConfig:
    """Return the config that comes inside the checkpoint at a path.

    Unless it is trusted to run code, only plain values are read from it, and
    nothing is imported for it.

    Raises:
        ValueError: If it is not plain, or has no model with a backbone.
    """
    source = f"the config in '{path}'"
    if trust:
        return CheckpointConfig(Config.fromstring(text, '.py'), source, True)
    try:
        cfg = Config(parse_plain_config(text))
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"The config in '{path}' was refused: {error}. Name its config "
            f'file with --config. {TRUST}.'
        ) from error
    found = CheckpointConfig(cfg, source, False)
    # The diagnosis builds the views of the training.
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    if steps := plain(dataset.get('pipeline')):
        dataset['pipeline'] = found._allowed(steps, 'training pipeline') or []
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    imports = [imports] if isinstance(imports, str) else imports
    foreign = [m for m in imports if str(m).partition('.')[0] != 'pauc_mm']
    if foreign:
        found.notes.append(
            f'custom_imports of {", ".join(map(str, foreign))} in the '
            "checkpoint's config were skipped."
        )
    return found


def read_config(name: str) -> Config:
    """Read a config that the user names, see :func:`named_config`."""
    try:
        if name.startswith(PREFIX):
            name = resolve_config(name)
        elif '::' in name:
            from mmengine.hub import get_config

            return get_config(name)
        return Config.fromfile(name)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"There is no config '{name}': {error}. Name a config file, or "
            'pauc_mm::NAME or mmpretrain::NAME.'
        ) from error
    except OSError as error:
        raise ValueError(
            f"'{name}' is no config: {error} Name a config file such as "
            'configs/pauc_tiny_digits.py.'
        ) from error


def _is_path(text: str) -> bool:
    kinds = PurePosixPath, PureWindowsPath
    return any(kind(text).is_absolute() for kind in kinds)


def _type_name(cfg: dict) -> str:
    kind = cfg.get('type')
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def _pipeline(dataset: dict) -> list | None:
    """Return the pipeline of a data set, or of the one that it wraps."""
    inner = dataset.get('dataset')
    if 'pipeline' not in dataset and isinstance(inner, dict):
        return _pipeline(inner)
    steps = dataset.get('pipeline')
    views = steps and any(_type_name(step) == 'MultiView' for step in steps)
    return None if views else steps
