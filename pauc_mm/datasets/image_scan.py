# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""List the images of a folder; find which do not decode or lose a part."""

import functools
import hashlib
import io
import json
import logging
import os
import warnings
from collections import Counter
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
_Found = tuple[list[tuple[str, str]], list[tuple[str, str]]]
_MEMO: dict[str, _Found] = {}
_BLOCK = 256


def list_images(
    root: str,
    extensions: Sequence[str] = EXTENSIONS,
    left_out: Counter[str] | None = None,
) -> list[str]:
    """List all images below a folder, in a fixed order.

    Folders that are links are followed, each real folder once. Names that
    begin with a dot (``.DS_Store``, ``._a.jpg``, ``.git``) are left out.
    ``extensions`` are in lower case, those of the files in any; to
    ``left_out`` the number of other files is added by their extension.

    Returns:
        list[str]: Paths relative to ``root`` with forward slashes, sorted.

    Raises:
        OSError: The folder or one below it cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

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
        for name in files:
            if name.startswith('.'):
                continue
            if name.lower().endswith(tuple(extensions)):
                paths.append((relative / name).as_posix())
            elif left_out is not None:
                left_out[os.path.splitext(name.lower())[1]] += 1
    return sorted(paths)


@functools.cache
def warn_once(text: str) -> None:
    """Log a warning, unless this process has logged the same one."""
    print_log(text, logger='current', level=logging.WARNING)


def warn_of_left_out(root: str, left_out: Counter[str]) -> None:
    """Warn of files that are no images, given their number by extension."""
    if left_out:
        kinds = ', '.join(
            f'{extension or "no extension"} ({number})'
            for extension, number in left_out.most_common(8)
        )
        warn_once(
            f'{left_out.total()} file(s) below {root!r} are left out, for '
            f'their extensions are not those of images: {kinds}.'
        )


def check_image(
    path: str, decoder: str = 'cv2'
) -> tuple[str | None, str | None]:
    """Decode one image as the training pipeline would.

    ``decoder`` alone is not enough: OpenCV 4 fills the missing part of a
    truncated JPEG with grey and reports nothing, so Pillow decodes it too.
    Files that Pillow cannot identify, or refuses for their size, are left to
    ``decoder``, mmcv's ``imdecode_backend``.

    Returns:
        tuple[str or None, str or None]: The reason why it does not decode,
        and what is lost where three channels of 8 bits are made of it.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        return 'not a file', None  # reading a pipe would wait for ever
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return error.strerror or type(error).__name__, None
    if not content:
        return 'empty file', None
    loss = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(content)) as image:
                raw_modes = _raw_modes(image)
                image.load()
                loss = _lost_part(image, raw_modes)
    except (UnidentifiedImageError, Image.DecompressionBombError):
        pass
    except Exception as error:
        if 'not available' not in str(error):
            return str(error) or type(error).__name__, None
    try:
        image = mmcv.imfrombytes(content, flag='color', backend=decoder)
    except Exception as error:
        return str(error).strip() or type(error).__name__, None
    if image is None:
        return f'{decoder} cannot decode it', None
    return None, loss


DEPTH = 'more than 8 bits a channel'
PAGES = 'pages after the first'
BANDS = 'channels after the third'
TRANSPARENCY = 'transparency, below which there may be any colour'


def _raw_modes(image: Image.Image) -> list[str]:
    """Return the layouts of the pixels in the file; empty once it is loaded.

    A TIFF of RGB and infrared has 'RGBX', a PNG of 16 bits 'RGB;16B'.
    """
    arguments = (tile[-1] for tile in image.tile)
    return [a if isinstance(a, str) else str(a[0]) for a in arguments if a]


def _lost_part(image: Image.Image, raw_modes: list[str]) -> str | None:
    if image.mode in ('I', 'F') or any(';16' in raw for raw in raw_modes):
        return DEPTH
    if getattr(image, 'n_frames', 1) > 1:
        return PAGES
    if any(raw.startswith('RGBX') for raw in raw_modes):
        return BANDS
    if image.mode in ('RGBA', 'LA', 'PA'):
        least_opaque, _ = image.getchannel('A').getextrema()
        return TRANSPARENCY if least_opaque < 255 else None
    return TRANSPARENCY if 'transparency' in image.info else None


def scan_images(
    paths: Sequence[str], root: str, decoder: str = 'cv2'
) -> _Found:
    """Decode every image once and name those that cannot be used.

    This is a collective call: each process decodes a share, and all get the
    same answer. It is kept in :func:`cache_dir` under the hash of all paths,
    sizes and modification times. Paths are relative to ``root``.

    Returns:
        tuple[list[tuple[str, str]], list[tuple[str, str]]]: (path, reason) of
        those that do not decode, and (path, loss) of others of which a part
        is lost, see :func:`check_image`; sorted by path.

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
    bad, lossy = (
        sorted(item for share in shares for item in share[kind])
        for kind in range(2)
    )
    _MEMO[key] = bad, lossy
    if os.environ.get('LOCAL_RANK', '0') == '0':  # once a node
        try:
            cache_dir().mkdir(parents=True, exist_ok=True)
            write_json(cache_dir() / f'{key}.json', dict(bad=bad, lossy=lossy))
        except OSError:  # a cache only saves time
            pass
    return bad, lossy


def cache_dir() -> Path:
    """Return ``$XDG_CACHE_HOME/pauc_mm/image_scan``, default ~/.cache."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    return Path(base, 'pauc_mm', 'image_scan')


def _read_cache(key: str) -> _Found | None:
    if key in _MEMO:
        return _MEMO[key]
    try:
        content = json.loads((cache_dir() / f'{key}.json').read_text())
        return tuple(
            [(str(path), str(text)) for path, text in content[kind]]
            for kind in ('bad', 'lossy')
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _fingerprint(
    paths: Sequence[str], root: str, decoder: str
) -> tuple[str, str]:
    """Hash names and sizes, and with them modification times and the root."""
    content = hashlib.sha256(f'2 {decoder}'.encode())
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


def _scan_share(paths: Sequence[str], root: str, decoder: str) -> _Found:
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

    bad, lossy = [], []
    # Pillow's switch is global; a library may have made it lenient.
    lenient = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
            for block in blocks:
                files = [os.path.join(root, path) for path in block]
                found = pool.map(check_image, files, [decoder] * len(files))
                for path, (reason, loss) in zip(block, found):
                    if reason:
                        bad.append((path, reason))
                    elif loss:
                        lossy.append((path, loss))
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient
    return bad, lossy
