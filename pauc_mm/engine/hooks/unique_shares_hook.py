# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from mmengine.dataset import Compose
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from pauc_mm.datasets.dataset_views import with_pipeline
from pauc_mm.embedding.dataset import embed_dataset, undisturbed
from pauc_mm.evaluation.collapse import has_prototypes, prototype_sets
from pauc_mm.evaluation.functional.prototype_usage import prototype_usage
from pauc_mm.models.embed import encoder_of
from pauc_mm.utils import raise_together
from pauc_mm.utils.files import write_text

from .evaluation_pipeline import find_pipeline

_KEY = 'default_hooks.unique_shares'
FILE_NAME = 'unique_shares.jsonl'
EPSILONS = (0.025, 0.1, 0.25, 0.5)


def recording_epochs(max_epochs: int) -> list[int]:
    """The epochs after which prototypes are recorded.

    Args:
        max_epochs (int): Length of the training.

    Returns:
        list[int]: 0 (before the first), 1, 2, 5, 10, 20, 40 and so on,
        doubling, and the last.
    """
    epochs = {0, 1, 2, 5, max_epochs}
    epoch = 10
    while epoch < max_epochs:
        epochs.add(epoch)
        epoch *= 2
    return sorted(e for e in epochs if e <= max_epochs)


@HOOKS.register_module()
class UniqueSharesHook(Hook):
    """Record which prototypes are unique and which are used over a training.

    At the epochs of :func:`recording_epochs` it embeds all training images,
    centred and not augmented, with the encoder that is trained, and writes a
    line to ``unique_shares.jsonl`` in the ``work_dir``: ``epoch``,
    ``epsilons``, and for each of the model's ``sets`` of prototypes what
    :func:`~pauc_mm.evaluation.functional.prototype_usage` measures. The run
    itself is not changed. A resumed run drops the lines of the epochs that it
    repeats, a new one all.

    Args:
        pipeline (list[dict], optional): Transforms for one centred view of an
            image. Defaults to None: see
            :func:`~pauc_mm.engine.hooks.evaluation_pipeline.find_pipeline`.
        epsilons (sequence of float): Cosine distances. Defaults to (0.025,
            0.1, 0.25, 0.5), the published ones.
        momentum (bool): Whether the momentum encoder is used instead.
            Defaults to False.
        batch_size (int): Images a batch and process. Defaults to 256.
        num_workers (int): Worker processes for the images. Defaults to 0.

    Raises:
        ValueError: If an argument is out of its range.
    """

    # After SyncBuffersHook and the E-step, before the checkpoint is saved: a
    # run that resumes from it finds the record of its epoch.
    priority = 'BELOW_NORMAL'

    def __init__(
        self,
        pipeline: Sequence[dict] | None = None,
        epsilons: Sequence[float] = EPSILONS,
        momentum: bool = False,
        batch_size: int = 256,
        num_workers: int = 0,
    ) -> None:
        if not len(epsilons) or not all(e > 0 for e in epsilons):
            raise ValueError(
                f'{_KEY}.epsilons must be numbers greater than 0, not '
                f'{epsilons!r}.'
            )
        for name, value, least in (
            ('batch_size', batch_size, 1),
            ('num_workers', num_workers, 0),
        ):
            if not isinstance(value, int) or value < least:
                raise ValueError(
                    f'{_KEY}.{name} must be an integer >= {least}, not '
                    f'{value!r}.'
                )
        self.pipeline = pipeline
        self.epsilons = [float(e) for e in epsilons]
        self.momentum = momentum
        self.batch_size = batch_size
        self.num_workers = num_workers

    def before_train(self, runner: Runner) -> None:
        """Check the setup, drop records that will be repeated, record epoch 0.

        Raises:
            TypeError: If the model has no neck, or the loop no epochs.
            ValueError: If it has no prototypes, or there is no pipeline.
        """
        encoder_of(runner.model, self.momentum)
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise TypeError(
                'UniqueSharesHook records after epochs, but train_cfg.type is '
                f'{type(runner.train_loop).__name__}: use EpochBasedTrainLoop.'
            )
        if not has_prototypes(runner.model):
            raise ValueError(
                f'{_KEY}: a {get_ori_model(runner.model)._get_name()} has no '
                'prototypes; remove the hook.'
            )
        _, pipeline = find_pipeline(runner, self.pipeline, _KEY)
        self.dataset = with_pipeline(
            runner.train_dataloader.dataset, Compose(list(pipeline))
        )
        self.epochs = recording_epochs(runner.max_epochs)
        path = Path(runner.work_dir) / FILE_NAME
        kept: list = [[]]
        if is_main_process():
            if path.is_file() and runner.epoch > 0:
                found = read_records(path)
                kept = [[r for r in found if r['epoch'] <= runner.epoch]]
            self.records = kept[0]
            self._write(path)
        # All ranks must know alike what is done: the rest is collective.
        broadcast_object_list(kept)
        self.records = kept[0]
        self._record(runner, runner.epoch)

    def after_train_epoch(self, runner: Runner) -> None:
        """Record, if it is time.

        Raises:
            ValueError: If embeddings are not finite or all zero.
            RuntimeError: If another rank failed.
        """
        self._record(runner, runner.epoch + 1)

    def _record(self, runner: Runner, epoch: int) -> None:
        done = {record['epoch'] for record in self.records}
        if epoch not in self.epochs or epoch in done:
            return
        with undisturbed(runner.model):
            _, embeddings = embed_dataset(
                runner.model,
                self.dataset,
                batch_size=self.batch_size,
                num_workers=self.num_workers,
                momentum=self.momentum,
                features=False,
            )
        error, sets = None, []
        if is_main_process():
            try:
                sets = [
                    prototype_usage(own.vectors, embeddings, self.epsilons)
                    for own in prototype_sets(runner.model)
                ]
            except Exception as caught:
                error = caught
        raise_together(error, 'Recording the unique prototypes')
        # On the other ranks without figures, to know that it is done.
        self.records.append(
            dict(epoch=epoch, epsilons=self.epsilons, sets=sets)
        )
        if is_main_process():
            self._write(Path(runner.work_dir) / FILE_NAME)
            runner.logger.info(_told(self.records[-1]))

    def _write(self, path: Path) -> None:
        lines = [json.dumps(record) + '\n' for record in self.records]
        write_text(path, ''.join(lines))


def read_records(path: Path) -> list[dict]:
    """What a :class:`UniqueSharesHook` wrote.

    Args:
        path (Path): ``unique_shares.jsonl``.

    Returns:
        list[dict]: By epoch.
    """
    lines = Path(path).read_text(encoding='utf-8').splitlines()
    return [json.loads(line) for line in lines]


def _told(record: dict) -> str:
    sets = '; '.join(
        f'{own["used"]} of {own["prototypes"]} prototypes used, unique '
        + ', '.join(
            f'{100 * share:.1f}% ({100 * of_used:.1f}% of the used) at {e:g}'
            for e, share, of_used in zip(
                record['epsilons'], own['unique'], own['unique_used']
            )
        )
        for own in record['sets']
    )
    return f'Prototypes after epoch {record["epoch"]}: {sets or "none yet"}'
