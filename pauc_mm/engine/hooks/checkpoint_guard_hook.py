# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import zipfile
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model
from torch import nn

from pauc_mm.checkpoints.weights import Fit, compare, shapes
from pauc_mm.compat import from_plain, to_plain


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Resume from the last complete checkpoint, and from no wrong one.

    Before a resumed run it takes the newest checkpoint of the work_dir that
    is whole, and says so if a newer one is not. It keeps checkpoints loadable
    with ``torch.load(weights_only=True)``, and refuses to resume a model whose
    parameters are not those of the checkpoint: mmengine would only warn, and
    train on with random weights.
    """

    priority = 'VERY_LOW'  # the other hooks have added their state by then

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume from.

        A checkpoint that is named, to resume or to load, is checked.

        Raises:
            RuntimeError: If there are checkpoints, but none is complete, or
                the named one is not.
            FileNotFoundError: If the named checkpoint does not exist.
        """
        named = getattr(runner, '_load_from', None)
        if not getattr(runner, '_resume', False):
            if named and '://' not in named:
                _check_named(named)
            return
        choice: list = [None, None]
        if is_main_process():
            try:
                if named is None:
                    choice[0] = _last_complete(runner)
                elif '://' not in named:
                    _check_named(named)
                    choice[0] = named
                else:
                    choice[0] = named
            except Exception as error:  # told to all ranks below
                choice[1] = error
        broadcast_object_list(choice)
        if choice[1] is not None:
            raise choice[1]
        runner._load_from = choice[0]
        if choice[0] is None:
            runner.logger.info(
                f'Nothing to resume in {runner.work_dir}: starting anew.'
            )
            runner._resume = False

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Turn everything into plain types and tensors."""
        for key in list(checkpoint):
            checkpoint[key] = to_plain(checkpoint[key])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Bring back the log history, and compare the parameters.

        Raises:
            RuntimeError: If a run is resumed from another architecture, or
                fewer than 90% of the backbone's tensors would be loaded.
        """
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = from_plain(checkpoint['message_hub'])
        model = get_ori_model(runner.model)
        if callable(getattr(model, 'upgrade_state_dict', None)):
            model.upgrade_state_dict(checkpoint.get('state_dict', checkpoint))
        if getattr(runner, '_resume', False):
            _check_same_model(model, checkpoint)
        else:
            _check_backbone(model, checkpoint)


def _last_complete(runner: Runner) -> str | None:
    """The newest complete checkpoint of the run, or None if there is none."""
    broken = []
    for path in _newest_first(Path(runner.work_dir)):
        if problem := _problem(path):
            broken.append(f'{path} ({problem})')
            continue
        for entry in broken:
            runner.logger.warning(
                f'Passing over a damaged checkpoint: {entry}. '
                f'Resuming from {path}.'
            )
        return str(path)
    if broken:
        raise RuntimeError(
            'No checkpoint in the work_dir can be read: '
            + '; '.join(broken)
            + '. Start without --resume, or name a checkpoint: '
            '--resume PATH.'
        )
    return None


def _newest_first(work_dir: Path) -> list[Path]:
    """Checkpoints of the run, the one to resume from first.

    That is the one that mmengine noted in ``last_checkpoint``, or a later one
    if the run was killed before it noted it. Numbers alone do not tell: the
    folder may hold more epochs of an older run. Neither do times: copying a
    folder loses them.
    """
    pointer = work_dir / 'last_checkpoint'
    noted = Path(pointer.read_text().strip()) if pointer.is_file() else Path()
    if (work_dir / noted.name).is_file():  # the folder may have been moved
        noted = work_dir / noted.name
    found = _checkpoints(work_dir)
    if not found and noted.is_file():  # CheckpointHook's out_dir
        found = _checkpoints(noted.parent)
    elif noted.parent != work_dir:  # a copy of another run's folder
        noted = Path()
    if not noted.is_file():
        return sorted(found, key=_written, reverse=True)
    found.sort(key=_number, reverse=True)
    later = [
        path
        for path in found
        if _number(path) > _number(noted) and _written(path) > _written(noted)
    ]
    earlier = [path for path in found if _number(path) < _number(noted)]
    return [*later, noted, *earlier]


def _checkpoints(folder: Path) -> list[Path]:
    return [*folder.glob('epoch_*.pth'), *folder.glob('iter_*.pth')]


def _number(path: Path) -> int:
    digits = path.stem.rpartition('_')[2]
    return int(digits) if digits.isdigit() else -1


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns


def _problem(path: Path) -> str | None:
    """What is wrong with a checkpoint file, None if it is whole."""
    size = path.stat().st_size
    with open(path, 'rb') as file:
        if file.read(2) == b'\x80\x02':
            return None  # torch before 1.6 wrote a bare pickle
    if not zipfile.is_zipfile(path):
        return f'truncated or not a checkpoint, {size} bytes'
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        return f'{error}, {size} bytes'
    return f'damaged record {damaged}' if damaged else None


def _check_named(name: str) -> None:
    path = Path(name).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f'The checkpoint does not exist: {path.absolute()}.'
        )
    if problem := _problem(path):
        raise RuntimeError(
            f'The checkpoint cannot be read: {path} ({problem}). Name a '
            'whole one; --resume without a path finds the last whole one of '
            'the work_dir.'
        )


def _fit(model: nn.Module, state_dict: dict, prefix: str = '') -> Fit:
    """Compare a part of the model with a checkpoint's tensors."""
    saved = {k.removeprefix('module.'): v for k, v in state_dict.items()}
    own = shapes(model, counters=True)
    return compare(
        {k: v for k, v in own.items() if k.startswith(prefix)},
        shapes(saved, counters=True),
    )


def _check_backbone(model: nn.Module, checkpoint: dict) -> None:
    fit = _fit(model, checkpoint.get('state_dict', checkpoint), 'backbone.')
    if fit.total and not fit.is_enough():
        raise RuntimeError(
            f'Only {len(fit.matched)} of the {fit.total} tensors of the '
            f'backbone are in the checkpoint: {fit}. Use the config that '
            'wrote it, or convert its keys to the prefix backbone.'
        )


def _check_same_model(model: nn.Module, checkpoint: dict) -> None:
    fit = _fit(model, checkpoint['state_dict'])
    if str(fit):
        raise RuntimeError(
            f'The checkpoint belongs to another model: {fit}. Resume with the '
            'config that wrote it, or use load_from (without --resume) to '
            'start a new run from its weights.'
        )
