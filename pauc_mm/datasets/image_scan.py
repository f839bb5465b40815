# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""List the images of a folder and find those that do not decode."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import mmcv
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.logging import print_log
from mmengine.utils import ProgressBar
from PIL import Image, ImageFile, UnidentifiedImageError

# Of the running process: a bank, query and training data set over the same
# folder are checked once, also where no cache can be written.
_MEMO: dict[str, list] = {}
_BLOCK = 256


def list_images(root: str, extensions: Sequence[str]) -> list[str]:
    """All images below a folder, in a fixed order.

    Folders that are links are followed, each real folder once. Names that
    begin with a dot (``.DS_Store``, ``._a.jpg``, ``.git``) are left out.

    Args:
        root (str): An existing folder.
        extensions (Sequence[str]): Lower-case, with the dot; the case of the
            files' own extensions does not matter.

    Returns:
        list[str]: Paths relative to ``root`` with forward slashes, sorted.

    Raises:
        OSError: If the folder or one below it cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    extensions = tuple(extensions)
    found, visited = [], set()
    for folder, folders, files in os.walk(
        root, followlinks=True, onerror=fail
    ):
        real = os.path.realpath(folder)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith('.'))
        relative = os.path.relpath(folder, root)
        for name in files:
            if name.startswith('.') or not name.lower().endswith(extensions):
                continue
            path = os.path.normpath(os.path.join(relative, name))
            found.append(path.replace(os.sep, '/'))
    return sorted(found)


def check_image(path: str, decoder: str = 'cv2') -> str | None:
    """Decode one image as the training pipeline would.

    ``decoder`` alone is not enough: OpenCV 4 fills the missing part of a
    truncated JPEG with grey and reports nothing (OpenCV 5 refuses it), so
    Pillow decodes it too.
    What Pillow cannot identify or refuses for its size is left to
    ``decoder``.

    Args:
        path (str): A file.
        decoder (str): mmcv's ``imdecode_backend``. Defaults to 'cv2'.

    Returns:
        str or None: What is wrong, or None if nothing is.
    """
    try:
        with open(path, 'rb') as file:
            content = file.read()
    except OSError as error:
        return error.strerror or type(error).__name__
    if not content:
        return 'empty file'
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(content)) as image:
                image.load()
    except (UnidentifiedImageError, Image.DecompressionBombError):
        pass
    except Exception as error:
        if 'not available' not in str(error):
            return str(error) or type(error).__name__
    try:
        image = mmcv.imfrombytes(content, flag='color', backend=decoder)
    except Exception as error:
        return str(error).strip() or type(error).__name__
    return f'{decoder} cannot decode it' if image is None else None


def _fingerprint(paths: Sequence[str], root: str, decoder: str) -> list[str]:
    """Hash names and sizes, and then modification times and place as well."""
    same = hashlib.sha256(f'1 {decoder}'.encode())
    here = hashlib.sha256(os.path.abspath(root).encode())
    for path in paths:
        try:
            stat = os.stat(os.path.join(root, path))
            size, time = stat.st_size, stat.st_mtime_ns
        except OSError:
            size = time = -1
        same.update(f'{path}\n{size}\n'.encode('utf-8', 'surrogateescape'))
        here.update(f'{time}\n'.encode())
    here.update(same.digest())
    return [same.hexdigest(), here.hexdigest()]


def default_cache_dir() -> str:
    """``$XDG_CACHE_HOME/pauc_mm/image_scan``, by default in ~/.cache."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    return os.path.join(base, 'pauc_mm', 'image_scan')


def _read_cache(cache_dir: str, key: str) -> list | None:
    if key in _MEMO:
        return _MEMO[key]
    try:
        with open(os.path.join(cache_dir, f'{key}.json')) as file:
            bad = json.load(file)['bad']
        return [(str(path), str(reason)) for path, reason in bad]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_cache(cache_dir: str, key: str, content: dict) -> None:
    """Atomically, and never a reason to stop: it only saves time."""
    try:
        os.makedirs(cache_dir, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            'w', dir=cache_dir, suffix='.tmp', delete=False
        ) as file:
            json.dump(content, file)
        os.replace(file.name, os.path.join(cache_dir, f'{key}.json'))
    except (OSError, ValueError):
        pass


def _scan(paths: Sequence[str], root: str, decoder: str, threads: int):
    """Bad files of this process's share, with a bar on the main process."""
    rank, world_size = get_dist_info()
    share = paths[rank::world_size]
    bar = None
    if rank == 0 and len(share) > _BLOCK:
        print_log(
            f'Decoding the {len(paths)} images under {os.path.abspath(root)} '
            'once, to find corrupt ones.',
            logger='current',
        )
        bar = ProgressBar(len(share), file=sys.stdout)
    bad = []
    # Pillow's switch is global; someone may have made it lenient.
    lenient = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(share), _BLOCK):
                block = share[start : start + _BLOCK]
                reasons = pool.map(
                    lambda path: check_image(
                        os.path.join(root, path), decoder
                    ),
                    block,
                )
                bad += [(p, r) for p, r in zip(block, reasons) if r]
                if bar:
                    bar.update(len(block))
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient
    if bar:
        bar.file.write('\n')
    return bad


def scan_images(
    paths: Sequence[str],
    root: str,
    decoder: str = 'cv2',
    threads: int | None = None,
    cache_dir: str | None = None,
) -> list[tuple[str, str]]:
    """Decode every image once and name those that cannot be used.

    With several processes each takes a share and all get the same answer;
    every process must call it. The answer is cached under the hash of all
    paths, sizes and modification times.

    Args:
        paths (Sequence[str]): Files, relative to ``root``.
        root (str): Their folder.
        decoder (str): mmcv's ``imdecode_backend``. Defaults to 'cv2'.
        threads (int, optional): In each process. Defaults to the number of
            cores, 16 at most.
        cache_dir (str, optional): Folder of the cache; '' switches it off.
            Defaults to :func:`default_cache_dir`. If it cannot be written
            the scan is repeated at the next start.

    Returns:
        list[tuple[str, str]]: (path, what is wrong), sorted by path.

    Raises:
        RuntimeError: If the processes see different files.
    """
    cache_dir = default_cache_dir() if cache_dir is None else cache_dir
    threads = threads or min(16, os.cpu_count() or 1)
    same, here = _fingerprint(paths, root, decoder)
    use_cache = cache_dir != ''
    cached = _read_cache(cache_dir, here) if use_cache else None
    seen = all_gather_object((same, cached is not None))
    if len({key for key, _ in seen}) > 1:
        raise RuntimeError(
            f'The processes see different files under {root}: all nodes need '
            'the same images (data_root, data_prefix).'
        )
    if all(known for _, known in seen):
        return cached
    bad = all_gather_object(_scan(paths, root, decoder, threads))
    bad = sorted(tuple(item) for part in bad for item in part)
    if use_cache:
        _MEMO[here] = bad
        if os.environ.get('LOCAL_RANK', '0') == '0':  # once a node
            _write_cache(cache_dir, here, dict(bad=bad, images=len(paths)))
    return bad
