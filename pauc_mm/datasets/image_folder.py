# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Any folder of images, checked before training starts."""

import os
from collections import Counter
from collections.abc import Sequence

from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS

from pauc_mm.utils.checks import check_choice
from pauc_mm.utils.files import printable

from .image_list import read_annotations, read_paths
from .image_scan import (
    EXTENSIONS,
    list_images,
    scan_images,
    warn_of_left_out,
    warn_once,
)

_SHOWN = 10


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """Folder of images, with or without sub-folders, without labels.

    Files are found at any depth, in the sorted order of their paths
    relative to the folder, so that ``sample_idx`` names the same image in
    every run. Names that begin with a dot are ignored, and so is the case of
    the extension. A warning counts the files that are left out, and the
    images of which reading loses a part: depth, pages, channels,
    transparency. An ``ann_file`` has one path a line, with its label behind
    it where ``with_label``.

    Args:
        data_root (str): The folder.
        data_prefix (str | dict): A folder below it.
        with_label (bool): Whether the first-level sub-folders are classes;
            images outside of any are an error then.
        corrupt (str): How to treat files that do not decode, truncated ones
            included. 'error' decodes every image once before training (see
            :func:`~.image_scan.scan_images`) and stops with the names of the
            bad ones, 'skip' leaves them out and warns, 'unchecked' decodes
            nothing.
        extensions (Sequence[str]): Of the files to take, with the dot.
        lazy_init (bool): Whether to find the files later.
        **kwargs: Of mmpretrain's ``CustomDataset`` (``pipeline``, ...).

    Attributes:
        corrupt_files (list[tuple[str, str]]): Path and reason of each file
            that was left out.

    Raises:
        FileNotFoundError: The folder does not exist.
        ValueError: It cannot be read, holds no image, or holds corrupt ones.
    """

    def __init__(
        self,
        data_root: str = '',
        data_prefix: str | dict = '',
        with_label: bool = False,
        corrupt: str = 'error',
        extensions: Sequence[str] = EXTENSIONS,
        lazy_init: bool = False,
        **kwargs,
    ) -> None:
        check_choice('corrupt', corrupt, ('error', 'skip', 'unchecked'))
        if not (data_root or data_prefix):
            raise ValueError(
                'data_root is empty: set it to the folder of images.'
            )
        self.corrupt = corrupt
        self._given_prefix = data_prefix
        self.corrupt_files: list[tuple[str, str]] = []
        super().__init__(
            data_root=os.path.expanduser(data_root),
            data_prefix=data_prefix,
            with_label=with_label,
            extensions=extensions,
            lazy_init=True,
            **kwargs,
        )
        if not lazy_init:
            self.full_init()

    def load_data_list(self) -> list[dict]:
        """Find and check the images."""
        if not os.path.isdir(self.img_prefix):
            raise FileNotFoundError(
                f'{self._where} is not a folder. Set data_root of the dataset '
                '(DATA_ROOT=... for pauc_r18_folder.py) to a folder of '
                f'images; relative paths start at {os.getcwd()}.'
            )
        if self.ann_file:
            data_list = self._read_list()
        else:
            data_list = super().load_data_list()
        if self.corrupt == 'unchecked':
            return data_list
        root = self.img_prefix
        paths = [os.path.relpath(s['img_path'], root) for s in data_list]
        steps = self.pipeline.transforms
        backends = (getattr(step, 'imdecode_backend', None) for step in steps)
        decoder = next(filter(None, backends), 'cv2')
        self.corrupt_files, lossy = scan_images(paths, root, decoder)
        kept = set().union(*(getattr(step, 'kept', ()) for step in steps))
        self._warn_of_losses([item for item in lossy if item[1] not in kept])
        if not self.corrupt_files:
            return data_list
        self._report(len(paths))
        bad = {path for path, _ in self.corrupt_files}
        return [s for s, path in zip(data_list, paths) if path not in bad]

    def _read_list(self) -> list[dict]:
        prefix = self.img_prefix
        if not self.with_label:
            paths = read_paths(self.ann_file)
            return [dict(img_path=os.path.join(prefix, p)) for p in paths]
        images = read_annotations(self.ann_file)
        return [
            dict(img_path=os.path.join(prefix, path), gt_label=label)
            for path, label in zip(images.paths, images.labels.tolist())
        ]

    def _warn_of_losses(self, lossy: list[tuple[str, str]]) -> None:
        if not lossy:
            return
        first = {loss: path for path, loss in reversed(lossy)}
        counts = Counter(loss for _, loss in lossy)
        text = '; '.join(
            f'{number} of {loss} (first {first[loss]})'
            for loss, number in counts.most_common()
        )
        warn_once(
            f'Of {len(lossy)} images in {self._where} a part is lost, for '
            f'networks see three channels of 8 bits: {text}. If that part '
            'matters, load them by LoadImageAs8Bit (IMAGE_BITS and BACKGROUND '
            'for pauc_r18_folder.py), or convert them.'
        )

    @property
    def _where(self) -> str:
        return (
            f'{os.path.abspath(self.img_prefix)} '
            f'(data_root={self.data_root!r}, '
            f'data_prefix={self._given_prefix!r})'
        )

    def _find_samples(self) -> list:
        """Image paths relative to the folder, with labels if asked for."""
        left_out: Counter[str] = Counter()
        try:
            paths = list_images(self.img_prefix, self.extensions, left_out)
        except OSError as error:
            raise ValueError(
                f'The image folder {self._where} cannot be read: '
                f'{error.filename}: {error.strerror}. Give this user the '
                'right to read it (chmod -R u+rX), or set data_root to '
                'another folder.'
            ) from error
        if not paths:
            raise ValueError(
                f'No image in {self._where}. Files with the extensions '
                f'{", ".join(sorted(self.extensions))} are taken, in '
                'upper or lower case, at any depth; set data_root to a '
                'folder that has some, or add yours to extensions.'
            )
        warn_of_left_out(self.img_prefix, left_out)
        return self._label(paths) if self.with_label else paths

    def _label(self, paths: list[str]) -> list[tuple[str, int]]:
        loose = [path for path in paths if '/' not in path]
        if loose:
            raise ValueError(
                f'with_label=True takes the sub-folders of {self._where} as '
                f'classes, but {len(loose)} images lie outside of any, such '
                f'as {loose[0]}. Move them, or set with_label=False.'
            )
        names = sorted({path.split('/')[0] for path in paths})
        classes = self.CLASSES
        if classes is None:
            self._metainfo['classes'] = tuple(names)
        elif len(classes) != len(names):
            raise ValueError(
                f'{self._where} has {len(names)} sub-folders with images, '
                f'but {len(classes)} classes are given. Make the two agree.'
            )
        self.folder_to_idx = {name: i for i, name in enumerate(names)}
        return [(p, self.folder_to_idx[p.split('/')[0]]) for p in paths]

    def _report(self, total: int) -> None:
        """Raise or warn, naming the corrupt files."""
        bad = self.corrupt_files
        text = f'{len(bad)} of {total} images in {self._where} are corrupt:'
        for path, reason in bad[:_SHOWN]:
            text += f'\n  {path}: {reason}'
        if len(bad) > _SHOWN:
            text += f'\n  and {len(bad) - _SHOWN} more'
        text = printable(text)  # a log file refuses other bytes
        if self.corrupt == 'error':
            raise ValueError(
                f'{text}\nReplace or delete them, or leave them out with '
                "corrupt='skip' in the dataset's config (CORRUPT=skip for "
                'pauc_r18_folder.py).'
            )
        if len(bad) == total:
            raise ValueError(f'{text}\nNo image is left.')
        warn_once(f"{text}\nThey are left out (corrupt='skip').")
