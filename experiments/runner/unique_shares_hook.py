# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
from collections.abc import Sequence
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from pauc_mm.engine.hooks.embedding_hook import EmbeddingHook
from pauc_mm.evaluation.collapse import has_prototypes, prototype_sets
from pauc_mm.utils import on_main_process
from pauc_mm.utils.checks import check_positive
from pauc_mm.utils.files import write_text

from .prototype_usage import prototype_usage

FILE_NAME = 'unique_shares.jsonl'
EPSILONS = (0.025, 0.1, 0.25, 0.5)


def recording_epochs(max_epochs: int) -> list[int]:
    """List the epochs to record: 0, 1, 2, 5, 10, 20, 40 ... and the last."""
    doubling = [10 * 2**i for i in range(max_epochs.bit_length())]
    epochs = {0, 1, 2, 5, *doubling, max_epochs}
    return sorted(e for e in epochs if e <= max_epochs)


@HOOKS.register_module()
class UniqueSharesHook(EmbeddingHook):
    """Record how many prototypes are unique and used over a training.

    At the epochs of :func:`recording_epochs` it embeds all training images,
    centred and not augmented, and writes a line to ``unique_shares.jsonl`` in
    the ``work_dir``: ``epoch``, ``epsilons``, and ``sets``, for each of the
    model's sets of prototypes the values of
    :func:`~.prototype_usage.prototype_usage`. The run itself is
    not changed. A resumed run drops the lines of the epochs that it repeats,
    a new one all.

    Args:
        epsilons (sequence of float): Cosine distances. Defaults to (0.025,
            0.1, 0.25, 0.5), the published ones.
        num_workers (int): Worker processes for the images.
        **kwargs: ``pipeline``, ``momentum`` and ``batch_size``, see
            :class:`EmbeddingHook`.
    """

    key = 'default_hooks.unique_shares'

    def __init__(
        self,
        epsilons: Sequence[float] = EPSILONS,
        num_workers: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(num_workers=num_workers, **kwargs)
        for epsilon in epsilons or [None]:
            check_positive(f'{self.key}.epsilons', epsilon)
        self.epsilons = [float(e) for e in epsilons]

    def before_train(self, runner: Runner) -> None:
        """Check the setup, drop records that will be repeated, record epoch 0.

        Raises:
            TypeError: See :meth:`EmbeddingHook.before_train`.
            ValueError: If there are no prototypes, or no pipeline.
        """
        super().before_train(runner)
        if not has_prototypes(runner.model):
            raise ValueError(
                f'{self.key}: a {type(get_ori_model(runner.model)).__name__} '
                'has no prototypes. Remove the hook.'
            )
        self.epochs = recording_epochs(runner.max_epochs)
        self.path = Path(runner.work_dir) / FILE_NAME

        def read() -> list[dict]:
            resumed = runner.epoch > 0 and self.path.is_file()
            records = read_records(self.path) if resumed else []
            return [r for r in records if r['epoch'] <= runner.epoch]

        # The same on all ranks, for the rest is collective.
        self.records = on_main_process(read, f'Reading {self.path}')
        self._write()
        self._record(runner, runner.epoch)

    def after_train_epoch(self, runner: Runner) -> None:
        """Record the prototypes if the epoch is one to be recorded.

        Raises:
            ValueError: If embeddings are not finite or all zero.
            RuntimeError: If another rank failed.
        """
        self._record(runner, runner.epoch + 1)

    def _record(self, runner: Runner, epoch: int) -> None:
        done = [record['epoch'] for record in self.records]
        if epoch not in self.epochs or epoch in done:
            return
        _, embeddings = self.embed(runner, features=False)

        def measure() -> list[dict]:
            return [
                prototype_usage(prototypes.vectors, embeddings, self.epsilons)
                for prototypes in prototype_sets(runner.model)
            ]

        sets = on_main_process(measure, 'Recording the unique prototypes')
        record = dict(epoch=epoch, epsilons=self.epsilons, sets=sets)
        self.records.append(record)
        self._write()
        runner.logger.info(_summary(record))

    def _write(self) -> None:
        if is_main_process():
            lines = [json.dumps(record) + '\n' for record in self.records]
            write_text(self.path, ''.join(lines))


def read_records(path: Path) -> list[dict]:
    """Read the records of a :class:`UniqueSharesHook`."""
    lines = Path(path).read_text(encoding='utf-8').splitlines()
    return [json.loads(line) for line in lines]


def _summary(record: dict) -> str:
    sets = '; '.join(
        f'{usage["used"]} of {usage["prototypes"]} prototypes used, unique '
        + ', '.join(
            f'{100 * share:.1f}% ({100 * of_used:.1f}% of the used) at {e:g}'
            for e, share, of_used in zip(
                record['epsilons'], usage['unique'], usage['unique_used']
            )
        )
        for usage in record['sets']
    )
    return f'Prototypes after epoch {record["epoch"]}: {sets or "none yet"}'
