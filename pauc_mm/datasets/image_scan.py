# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""List the images of a folder and find those that do not decode."""

import hashlib
import io
import json
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mmcv
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.logging import print_log
from PIL import Image, ImageFile, UnidentifiedImageError

from pauc_mm.utils.files import write_json
from pauc_mm.utils.progress import progress

EXTENSIONS = tuple('.jpg .jpeg .png .ppm .pgm .bmp .tif .tiff .webp'.split())
"""Of the files that are images, in lower case."""

# Within a process the training set, the bank and the queries over one folder
# are checked once, even where no cache can be written.
_MEMO: dict[str, list[tuple[str, str]]] = {}
_BLOCK = 256


def list_images(
    root: str, extensions: Sequence[str] = EXTENSIONS
) -> list[str]:
    """List all images below a folder, in a fixed order.

    Folders that are links are followed, each real folder once. Names that
    begin with a dot (``.DS_Store``, ``._a.jpg``, ``.git``) are left out.

    Args:
        root (str): An existing folder.
        extensions (Sequence[str]): Lower-case, with the dot; the case of the
            files' own extensions does not matter.

    Returns:
        list[str]: Paths relative to ``root`` with forward slashes, sorted.

    Raises:
        OSError: The folder or one below it cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    extensions = tuple(extensions)
    paths, visited = [], set()
    walk = os.walk(root, followlinks=True, onerror=fail)
    for folder, folders, files in walk:
        real = os.path.realpath(folder)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith('.'))
        relative = Path(folder).relative_to(root)
        paths += [
            (relative / name).as_posix()
            for name in files
            if name.lower().endswith(extensions) and not name.startswith('.')
        ]
    return sorted(paths)


def check_image(path: str, decoder: str = 'cv2') -> str | None:
    """Decode one image as the training pipeline would.

    ``decoder`` alone is not enough: OpenCV 4 fills the missing part of a
    truncated JPEG with grey and reports nothing, so Pillow decodes it too.
    Files that Pillow cannot identify, or refuses for their size, are left to
    ``decoder``.

    Args:
        path (str): A file.
        decoder (str): mmcv's ``imdecode_backend``.

    Returns:
        str or None: The reason why it does not decode, or None.
    """
    try:
        content = Path(path).read_bytes()
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


def scan_images(
    paths: Sequence[str], root: str, decoder: str = 'cv2'
) -> list[tuple[str, str]]:
    """Decode every image once and name those that cannot be used.

    With several processes each decodes a share and all get the same answer;
    every process must call it. The answer is kept in
    :func:`cache_dir` under the hash of all paths, sizes and modification
    times, so that a resumed run does not decode a million images again.

    Args:
        paths (Sequence[str]): Files, relative to ``root``.
        root (str): Their folder.
        decoder (str): mmcv's ``imdecode_backend``.

    Returns:
        list[tuple[str, str]]: (path, reason), sorted by path.

    Raises:
        RuntimeError: The processes see different files.
    """
    content_key, key = _fingerprint(paths, root, decoder)
    cached = _read_cache(key)
    answers = all_gather_object((content_key, cached is not None))
    if len({content for content, _ in answers}) > 1:
        raise RuntimeError(
            f'The processes see different files under {root}: all nodes need '
            'the same images (data_root, data_prefix).'
        )
    if all(is_cached for _, is_cached in answers):
        return cached
    shares = all_gather_object(_scan_share(paths, root, decoder))
    bad = sorted(tuple(item) for share in shares for item in share)
    _MEMO[key] = bad
    if os.environ.get('LOCAL_RANK', '0') == '0':  # once a node
        try:
            cache_dir().mkdir(parents=True, exist_ok=True)
            write_json(cache_dir() / f'{key}.json', dict(bad=bad))
        except OSError:  # a cache only saves time
            pass
    return bad


def cache_dir() -> Path:
    """Return ``$XDG_CACHE_HOME/pauc_mm/image_scan``, default ~/.cache."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    return Path(base, 'pauc_mm', 'image_scan')


def _read_cache(key: str) -> list[tuple[str, str]] | None:
    if key in _MEMO:
        return _MEMO[key]
    try:
        content = json.loads((cache_dir() / f'{key}.json').read_text())
        return [(str(path), str(reason)) for path, reason in content['bad']]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _fingerprint(
    paths: Sequence[str], root: str, decoder: str
) -> tuple[str, str]:
    """Hash names and sizes, and with them modification times and the root."""
    content = hashlib.sha256(f'1 {decoder}'.encode())
    local = hashlib.sha256(os.path.abspath(root).encode())
    for path in paths:
        try:
            stat = os.stat(os.path.join(root, path))
            size, time = stat.st_size, stat.st_mtime_ns
        except OSError:
            size = time = -1
        content.update(f'{path}\n{size}\n'.encode('utf-8', 'surrogateescape'))
        local.update(f'{time}\n'.encode())
    local.update(content.digest())
    return content.hexdigest(), local.hexdigest()


def _scan_share(
    paths: Sequence[str], root: str, decoder: str
) -> list[tuple[str, str]]:
    """Decode the share of this process."""
    rank, world_size = get_dist_info()
    share = paths[rank::world_size]
    blocks = [share[i : i + _BLOCK] for i in range(0, len(share), _BLOCK)]
    if rank == 0 and len(blocks) > 1:
        print_log(
            f'Decoding the {len(paths)} images under {os.path.abspath(root)} '
            'once, to find corrupt ones.',
            logger='current',
        )
        blocks = progress(blocks, 'Decoding')

    def check(path: str) -> str | None:
        return check_image(os.path.join(root, path), decoder)

    bad = []
    # Pillow's switch is global; a library may have made it lenient.
    lenient = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
            for block in blocks:
                reasons = pool.map(check, block)
                bad += [(p, r) for p, r in zip(block, reasons) if r]
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient
    return bad
