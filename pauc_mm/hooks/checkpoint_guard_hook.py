# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Optional

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from ..compat.plain_checkpoint import from_plain, to_plain
from ..models.embedding import unwrap


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

        Raises:
            RuntimeError: If there are checkpoints, but none is complete.
            FileNotFoundError: If the named checkpoint does not exist.
        """
        if not getattr(runner, '_resume', False):
            return
        named = getattr(runner, '_load_from', None)
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
            RuntimeError: If a run is resumed from another architecture.
        """
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = from_plain(checkpoint['message_hub'])
        if getattr(runner, '_resume', False):
            _check_same_model(unwrap(runner.model), checkpoint)


def _last_complete(runner: Runner) -> Optional[str]:
    """The newest complete checkpoint of the run, or None if there is none."""
    work_dir = Path(runner.work_dir)
    folders = {work_dir}
    pointer = work_dir / 'last_checkpoint'
    if pointer.is_file() and pointer.read_text().strip():
        folders.add(Path(pointer.read_text().strip()).parent)
    found: list[Path] = []
    for folder in folders:
        found += [*folder.glob('epoch_*.pth'), *folder.glob('iter_*.pth')]
    # By time, not by number: the folder may hold more epochs of an older run.
    found.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    broken = []
    for path in found:
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


def _problem(path: Path) -> Optional[str]:
    """What is wrong with a checkpoint file, None if it is whole."""
    size = path.stat().st_size
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
            f'The checkpoint to resume from does not exist: {path.absolute()}.'
        )
    if problem := _problem(path):
        raise RuntimeError(
            f'The checkpoint to resume from cannot be read: {path} '
            f'({problem}). --resume without a path takes the last complete '
            'one of the work_dir.'
        )


def _check_same_model(model, checkpoint: dict) -> None:
    own = {k: tuple(v.shape) for k, v in model.state_dict().items()}
    saved = {
        k[len('module.') :] if k.startswith('module.') else k: tuple(v.shape)
        for k, v in checkpoint['state_dict'].items()
    }
    missing = sorted(own.keys() - saved.keys())
    unexpected = sorted(saved.keys() - own.keys())
    changed = [
        f'{k}: {saved[k]} in the checkpoint, {own[k]} in the model'
        for k in sorted(own.keys() & saved.keys())
        if own[k] != saved[k]
    ]
    if not (missing or unexpected or changed):
        return
    parts = []
    for what, keys in (
        ('missing in the checkpoint', missing),
        ('unknown to the model', unexpected),
        ('of another shape', changed),
    ):
        if keys:
            more = ', ...' if len(keys) > 3 else ''
            parts.append(f'{len(keys)} {what} ({", ".join(keys[:3])}{more})')
    raise RuntimeError(
        'The checkpoint belongs to another model: parameters '
        + '; '.join(parts)
        + '. Resume with the config that wrote it, or use load_from (without '
        '--resume) to start a new run from its weights.'
    )
