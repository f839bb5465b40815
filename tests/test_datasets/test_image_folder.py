# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmpretrain.registry import DATASETS
from PIL import Image, ImageFile

from pauc_mm.datasets import (
    ImageFolder,
    check_image,
    image_scan,
    list_images,
)
from pauc_mm.datasets.image_scan import BANDS, DEPTH, PAGES, TRANSPARENCY

RNG = np.random.RandomState(0)


def save_image(path: Path, fmt: str = 'JPEG', size: int = 48) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.randint(0, 256, (size, size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, fmt)
    return path


def truncate(path: Path, share: float = 0.5) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(image_scan, '_MEMO', {})


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / 'images'
    for name in ('b/2.jpg', 'b/1.JPG', 'a/deep/er/3.jpeg', 'top.jpg'):
        save_image(root / name)
    save_image(root / 'a' / '4.PNG', 'PNG')
    (root / 'b' / 'notes.txt').write_text('no image')
    (root / 'b' / '._1.JPG').write_bytes(b'macOS')
    (root / '.DS_Store').write_bytes(b'macOS')
    (root / '.trash').mkdir()
    (root / '.trash' / 'old.jpg').write_bytes(b'broken')
    return root


def relative(dataset, root):
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [os.path.relpath(i['img_path'], root) for i in infos]


def test_finds_images_at_any_depth_in_sorted_order(folder):
    dataset = DATASETS.build(dict(type='ImageFolder', data_root=str(folder)))
    assert relative(dataset, folder) == [
        'a/4.PNG',
        'a/deep/er/3.jpeg',
        'b/1.JPG',
        'b/2.jpg',
        'top.jpg',
    ]
    assert 'gt_label' not in dataset.get_data_info(0)
    assert dataset.get_data_info(3)['sample_idx'] == 3


def test_pipeline_reads_the_images(folder):
    dataset = ImageFolder(
        str(folder),
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
    )
    assert dataset[4]['inputs'].shape == (3, 48, 48)
    assert dataset[4]['data_samples'].img_path.endswith('top.jpg')


def test_linked_folders_are_followed_once(folder):
    (folder / 'loop').symlink_to(folder, target_is_directory=True)
    elsewhere = save_image(folder.parent / 'elsewhere' / 'x.jpg').parent
    (folder / 'link').symlink_to(elsewhere, target_is_directory=True)
    found = list_images(str(folder), ('.jpg',))
    assert found == ['b/1.JPG', 'b/2.jpg', 'link/x.jpg', 'top.jpg']


def test_labels_from_sub_folders(folder):
    with pytest.raises(ValueError, match='with_label.*top.jpg'):
        ImageFolder(str(folder), with_label=True)
    (folder / 'top.jpg').unlink()
    dataset = ImageFolder(str(folder), with_label=True)
    assert dataset.CLASSES == ('a', 'b')
    assert dataset.get_gt_labels().tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match='2 sub-folders.*3 classes'):
        ImageFolder(
            str(folder), with_label=True, classes=['a', 'b', 'c']
        ).full_init()


LISTS = [
    'top.jpg\nb/2.jpg\n\n \n',
    '\ufefftop.jpg\r\nb/2.jpg\r\n',
    'top.jpg\t\nb/2.jpg',
]


@pytest.mark.parametrize('text', LISTS)
def test_lists_as_editors_write_them(folder, text):
    (folder / 'list.txt').write_bytes(text.encode())
    dataset = ImageFolder(str(folder), ann_file='list.txt')
    assert relative(dataset, folder) == ['top.jpg', 'b/2.jpg']


@pytest.mark.parametrize('between', [' ', '\t'])
def test_lists_with_labels(folder, between):
    lines = f'top.jpg{between}1\nb/2.jpg{between}0\n'
    (folder / 'list.txt').write_text(lines)
    dataset = ImageFolder(str(folder), ann_file='list.txt', with_label=True)
    assert relative(dataset, folder) == ['top.jpg', 'b/2.jpg']
    assert dataset.get_gt_labels().tolist() == [1, 0]


def test_a_list_that_names_an_image_twice(folder):
    (folder / 'list.txt').write_text('top.jpg\nb/2.jpg\ntop.jpg\n')
    with pytest.raises(ValueError, match='top.jpg.*lines 1 and 3'):
        ImageFolder(str(folder), ann_file='list.txt')


def test_names_that_are_no_utf_8(folder):
    name = os.fsdecode(b'caf\xe9.jpg')
    save_image(folder / name)
    (folder / 'list.txt').write_bytes(b'caf\xe9.jpg\n')
    dataset = ImageFolder(str(folder), ann_file='list.txt')
    assert relative(dataset, folder) == [name]
    assert name in relative(ImageFolder(str(folder)), folder)


def test_annotation_file(folder):
    (folder / 'list.txt').write_text('top.jpg\nb/2.jpg\nb/gone.jpg\n')
    args = dict(data_root=str(folder), ann_file='list.txt')
    with pytest.raises(ValueError, match='gone.jpg: No such file'):
        ImageFolder(**args)
    dataset = ImageFolder(**args, corrupt='skip')
    assert relative(dataset, folder) == ['top.jpg', 'b/2.jpg']


# ---- folders that cannot be used -------------------------------------------
def test_missing_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        ImageFolder('data/typo', data_prefix='train')
    for part in (
        str(tmp_path / 'data' / 'typo' / 'train'),
        "data_root='data/typo'",
        "data_prefix='train'",
        'Set data_root',
    ):
        assert part in str(error.value)


def test_file_in_place_of_a_folder(folder):
    with pytest.raises(FileNotFoundError, match='data_root'):
        ImageFolder(str(folder / 'top.jpg'))


def test_no_permission(folder, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith('deep'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    with pytest.raises(ValueError, match='deep: Permission denied.*chmod'):
        ImageFolder(str(folder))


def test_no_image(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'x.gif').write_bytes(b'')
    with pytest.raises(ValueError, match=r'No image in .*\.jpg.*extensions'):
        ImageFolder(str(tmp_path))


@pytest.mark.parametrize(
    'kwargs, match',
    [
        (dict(data_root=''), 'data_root is empty'),
        (dict(data_root='x', corrupt='ignore'), "corrupt.*'ignore'"),
    ],
)
def test_bad_arguments(kwargs, match):
    with pytest.raises(ValueError, match=match):
        ImageFolder(**kwargs)


# ---- corrupt files ---------------------------------------------------------
@pytest.mark.parametrize('fmt', ['JPEG', 'PNG', 'BMP', 'TIFF', 'WEBP', 'PPM'])
def test_whole_images_pass_and_truncated_ones_do_not(tmp_path, fmt):
    path = save_image(tmp_path / f'x.{fmt.lower()}', fmt)
    assert check_image(str(path))[0] is None
    truncate(path, 0.6)
    assert check_image(str(path))[0]


def test_truncation_is_seen_whatever_the_decoder_says(tmp_path, monkeypatch):
    """OpenCV 4 returns an image whose missing part is grey."""
    path = truncate(save_image(tmp_path / 'x.jpg'), 0.9)
    grey = np.full((48, 48, 3), 128, np.uint8)
    monkeypatch.setattr(mmcv, 'imfrombytes', lambda *_, **__: grey)
    assert 'truncated' in check_image(str(path))[0]


def test_a_defect_that_only_the_decoder_sees(tmp_path, monkeypatch):
    path = save_image(tmp_path / 'x.jpg')
    monkeypatch.setattr(mmcv, 'imfrombytes', lambda *_, **__: None)
    assert check_image(str(path)) == ('cv2 cannot decode it', None)


@pytest.mark.parametrize('mode', ['L', 'RGBA', 'P', '1', 'I;16', 'CMYK'])
def test_every_mode_of_a_sound_image_passes(tmp_path, mode):
    fmt = 'JPEG' if mode == 'CMYK' else 'PNG'
    path = tmp_path / f'x.{fmt.lower()}'
    if mode == 'I;16':
        image = Image.fromarray(RNG.randint(0, 2**16, (9, 9)).astype('<u2'))
    else:
        image = Image.new('RGB', (9, 9), 'red').convert(mode)
    image.save(path)
    assert check_image(str(path))[0] is None


def deep_png(path):
    cv2.imwrite(str(path), RNG.randint(0, 4096, (9, 9, 3)).astype('u2'))


def pages(path):
    frames = [Image.new('RGB', (9, 9), colour) for colour in ('red', 'blue')]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def four_bands(path):
    Image.new('RGBX', (9, 9)).save(path)


def transparent(path):
    Image.new('RGBA', (9, 9), (255, 0, 0, 0)).save(path)


def opaque(path):
    Image.new('RGBA', (9, 9), (255, 0, 0, 255)).save(path)


LOSSES = [
    (lambda path: Image.new('I;16', (9, 9)).save(path), '.png', DEPTH),
    (lambda path: Image.new('I;16', (9, 9)).save(path), '.tif', DEPTH),
    (deep_png, '.png', DEPTH),
    (deep_png, '.tif', DEPTH),
    (pages, '.tif', PAGES),
    (four_bands, '.tif', BANDS),
    (transparent, '.png', TRANSPARENCY),
    (transparent, '.webp', TRANSPARENCY),
    (opaque, '.png', None),
    (save_image, '.jpg', None),
]


@pytest.mark.parametrize('make, extension, loss', LOSSES)
def test_what_three_channels_of_8_bits_cannot_hold(
    tmp_path, make, extension, loss
):
    path = tmp_path / f'x{extension}'
    make(path)
    assert check_image(str(path)) == (None, loss)


def test_losses_are_counted_once_with_an_example(
    folder, log_lines, decoded, monkeypatch
):
    for name in ('c.png', 'd.png'):
        transparent(folder / name)
    pages(folder / 'e.tif')
    assert len(ImageFolder(str(folder))) == 8
    (line,) = (line for line in log_lines if 'is lost' in line)
    assert f'2 of {TRANSPARENCY} (first c.png)' in line
    assert f'1 of {PAGES} (first e.tif)' in line
    ImageFolder(str(folder))
    # The cache knows it as well.
    new_process(decoded, monkeypatch)
    image_scan.warn_once.cache_clear()
    ImageFolder(str(folder))
    assert not decoded
    assert [line for line in log_lines if 'is lost' in line] == [line, line]


def test_files_left_out_are_counted_by_extension(folder, log_lines):
    for name in ('a/x.gif', 'y.GIF', 'README'):
        (folder / name).write_text('no image')
    ImageFolder(str(folder))
    ImageFolder(str(folder))
    (line,) = (line for line in log_lines if 'left out' in line)
    assert line.startswith('4 file')
    for kind in ('.gif (2)', '.txt (1)', 'no extension (1)'):
        assert kind in line


def test_other_defects(tmp_path):
    path = tmp_path / 'x.jpg'
    assert check_image(str(path)) == ('No such file or directory', None)
    path.write_bytes(b'')
    assert check_image(str(path)) == ('empty file', None)
    os.mkfifo(tmp_path / 'pipe.png')
    assert check_image(str(tmp_path / 'pipe.png')) == ('not a file', None)
    path.write_bytes(b'<html>404</html>')
    assert check_image(str(path)) == ('cv2 cannot decode it', None)


def spoil(folder, count):
    for i in range(count):
        truncate(save_image(folder / 'z' / f'{i:02d}.jpg'))


def test_error_names_ten_and_counts_all(folder):
    spoil(folder, 12)
    with pytest.raises(ValueError) as error:
        ImageFolder(str(folder))
    text = str(error.value)
    assert f'12 of 17 images in {folder}' in text
    assert 'z/09.jpg: image file is truncated' in text
    assert 'z/10.jpg' not in text and 'and 2 more' in text
    assert "corrupt='skip'" in text


def test_skip_leaves_out_and_warns_once(folder, log_lines):
    spoil(folder, 2)
    for _ in range(2):
        dataset = ImageFolder(str(folder), corrupt='skip')
        assert len(dataset) == 5
        assert not any('z/' in p for p in relative(dataset, folder))
        assert [p for p, _ in dataset.corrupt_files] == [
            'z/00.jpg',
            'z/01.jpg',
        ]
    (line,) = (line for line in log_lines if 'corrupt' in line)
    assert '2 of 7' in line and 'z/01.jpg' in line


def test_nothing_left(tmp_path):
    spoil(tmp_path, 3)
    with pytest.raises(ValueError, match='No image is left'):
        ImageFolder(str(tmp_path), corrupt='skip')


def test_unchecked_decodes_nothing(folder, monkeypatch):
    spoil(folder, 2)
    monkeypatch.setattr(image_scan, 'check_image', None)
    assert len(ImageFolder(str(folder), corrupt='unchecked')) == 7


def test_lenient_pillow_is_made_strict_and_put_back(folder, monkeypatch):
    monkeypatch.setattr(ImageFile, 'LOAD_TRUNCATED_IMAGES', True)
    spoil(folder, 1)
    assert len(ImageFolder(str(folder), corrupt='skip')) == 5
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_decoder_of_the_pipeline_is_used(folder, monkeypatch):
    used = set()
    monkeypatch.setattr(
        image_scan,
        'check_image',
        lambda path, decoder: (used.add(decoder), None),
    )
    loader = dict(type='LoadImageFromFile', imdecode_backend='pillow')
    ImageFolder(str(folder), pipeline=[loader])
    assert used == {'pillow'}


def test_long_checks_are_announced(folder, monkeypatch, log_lines):
    monkeypatch.setattr(image_scan, '_BLOCK', 2)
    ImageFolder(str(folder))
    assert any('Decoding the 5 images' in line for line in log_lines)


# ---- the cache -------------------------------------------------------------
@pytest.fixture
def decoded(monkeypatch):
    """Paths that were decoded; clear() also forgets the process's memory."""
    calls = []

    def count(path, decoder):
        calls.append(path)
        return check_image(path, decoder)

    monkeypatch.setattr(image_scan, 'check_image', count)
    return calls


def new_process(decoded, monkeypatch):
    decoded.clear()
    monkeypatch.setattr(image_scan, '_MEMO', {})


def test_second_start_does_not_decode(folder, decoded, monkeypatch):
    spoil(folder, 1)
    first = ImageFolder(str(folder), corrupt='skip').corrupt_files
    assert len(decoded) == 6
    new_process(decoded, monkeypatch)
    again = ImageFolder(str(folder), corrupt='skip')
    assert decoded == [] and again.corrupt_files == first
    with pytest.raises(ValueError, match='1 of 6'):
        ImageFolder(str(folder), corrupt='error')
    assert decoded == []


def test_a_changed_file_is_decoded_again(folder, decoded, monkeypatch):
    ImageFolder(str(folder))
    new_process(decoded, monkeypatch)
    truncate(folder / 'top.jpg')
    with pytest.raises(ValueError, match='top.jpg'):
        ImageFolder(str(folder))


@pytest.mark.parametrize('content', ['', '{', '[]', '{"bad": [1]}'])
def test_damaged_cache_is_ignored(folder, decoded, monkeypatch, content):
    ImageFolder(str(folder))
    (entry,) = image_scan.cache_dir().glob('*.json')
    entry.write_text(content)
    new_process(decoded, monkeypatch)
    assert len(ImageFolder(str(folder))) == 5 and len(decoded) == 5


def test_cache_that_cannot_be_written(folder, tmp_path, decoded, monkeypatch):
    blocked = tmp_path / 'file'
    blocked.write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(blocked / 'x'))
    assert len(ImageFolder(str(folder))) == 5
    ImageFolder(str(folder))
    assert len(decoded) == 5  # remembered within the process
    new_process(decoded, monkeypatch)
    ImageFolder(str(folder))
    assert len(decoded) == 5


# ---- several processes -----------------------------------------------------
def _two_processes(rank, folder, cache, differ):
    dist.init_process_group(
        'gloo', init_method=f'file://{cache}.rdzv', rank=rank, world_size=2
    )
    real, count = check_image, []
    image_scan.check_image = lambda *a: count.append(a) or real(*a)
    if differ and rank:
        root = Path(folder).parent / 'other'
        save_image(root / 'x.jpg')
        folder = str(root)
    try:
        dataset = ImageFolder(folder, corrupt='skip')
        result = (len(count), len(dataset), dataset.corrupt_files)
    except RuntimeError as error:
        result = str(error)
    torch.save(result, f'{cache}.{rank}')
    dist.destroy_process_group()


def run_two(folder, cache, differ=False):
    torch.multiprocessing.start_processes(
        _two_processes,
        (str(folder), cache, differ),
        nprocs=2,
        start_method='fork',
    )
    return [torch.load(f'{cache}.{r}') for r in range(2)]


def test_processes_share_the_scan_and_agree(folder, tmp_path):
    spoil(folder, 3)
    first, second = run_two(folder, str(tmp_path / 'two'))
    assert first[0] == second[0] == 4  # of eight images, half each
    assert first[1:] == second[1:]
    assert first[1] == 5 and len(first[2]) == 3


def test_processes_with_different_files_are_refused(folder, tmp_path):
    results = run_two(folder, str(tmp_path / 'two'), differ=True)
    assert all('different files' in r for r in results)
