# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import copy
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pauc_mm.transfer.images import (
    from_config,
    from_data_config,
    from_folders,
    from_voc,
)
from pauc_mm.transfer.voc import VOCClassification, read_lists
from tests.helpers import load_encoder
from tests.test_transfer.helpers import write_folders, write_image

PACK = dict(type='PackInputs')


def encoder(**changes):
    values = dict(pipeline=None, dataset=None, config=None, layout='stub')
    values.update(channels=3, preprocess={})
    return SimpleNamespace(**{**values, **changes})


def own(**loaders):
    """An encoder whose config has these loaders."""
    dataset = loaders.pop('test')
    return encoder(dataset=dataset, pipeline=[PACK], config=loaders)


def test_folders_and_their_classes(folders):
    train, test = from_folders(encoder(), *map(str, folders), image_size=16)
    assert train.classes == test.classes == ['blue', 'green', 'red']
    assert train.labels.tolist() == [c for c in range(3) for _ in range(8)]
    assert len(test) == 12 and test.views is None
    image = test.dataset[11]['inputs']  # BGR, red
    assert image.shape == (3, 16, 16)
    assert image[2].float().mean() > 180 > 80 > image[0].float().mean()
    part = train.select(np.array([0, 20]))
    assert part.labels.tolist() == [0, 2]
    assert [p.split('/')[-2] for p in part.paths] == ['blue', 'red']
    assert torch.equal(part.dataset[1]['inputs'], train.dataset[20]['inputs'])


def test_folders_that_do_not_fit(folders, tmp_path):
    train, test = map(str, folders)
    with pytest.raises(FileNotFoundError, match='data_root'):
        from_folders(encoder(), train, str(tmp_path / 'none'))
    with pytest.raises(ValueError, match='24 of 24 test images are training'):
        from_folders(encoder(), train, train)
    link = tmp_path / 'link'
    link.symlink_to(train)
    with pytest.raises(ValueError, match='are training images too'):
        from_folders(encoder(), train, str(link))
    other = write_folders(tmp_path / 'other', [90], ('blue', 'red'))
    (other / 'red').rename(other / 'rouge')
    with pytest.raises(ValueError, match='has 2: green, red'):
        from_folders(encoder(), train, str(other))
    with pytest.raises(ValueError, match='has 1: rouge'):
        shutil.rmtree(tmp_path / 'other' / 'blue')
        write_folders(other, [91], ('green', 'red'))
        shutil.rmtree(other / 'green')
        from_folders(encoder(), str(other), train)
    one = write_folders(tmp_path / 'one', [92], ('red',))
    with pytest.raises(ValueError, match='two classes or more'):
        from_folders(encoder(), str(one), test)
    write_image(one / 'loose.png', (0, 0, 0), 0)
    with pytest.raises(ValueError, match='lie outside of any'):
        from_folders(encoder(), str(one), test)


def test_the_data_of_the_config(checkpoint):
    train, test = from_config(load_encoder(checkpoint))
    assert (len(train), len(test)) == (1437, 360)
    assert test.labels.bincount().tolist() == [36] * 10
    # one view, as it is: not the two of training
    assert train.dataset[0]['inputs'].shape == (3, 16, 16)


def tiny(**options):
    return dict(type='TinyImages', **options)


def test_training_images_where_there_is_no_bank():
    import tests.helpers  # noqa: F401  (registers TinyImages)

    loader = dict(dataset=tiny(seed=1, num_images=20, pipeline=['two views']))
    source = own(test=tiny(), train_dataloader=loader)
    train, test = from_config(source, trusted=True)
    assert (len(train), len(test)) == (20, 48)
    assert train.dataset[0]['inputs'].shape == (3, 8, 8)
    bank = dict(bank_dataloader=dict(dataset=tiny(seed=2, num_images=30)))
    source = own(test=tiny(), train_dataloader=loader, val_cfg=bank)
    assert len(from_config(source, trusted=True)[0]) == 30


def test_data_of_the_config_that_does_not_do(tmp_path):
    import tests.helpers  # noqa: F401
    import tests.test_embedding.test_images  # noqa: F401  (Unlabelled)

    with pytest.raises(ValueError, match='names no data .*--train DIR'):
        from_config(encoder())
    loader = dict(dataset=tiny())
    with pytest.raises(ValueError, match='takes the same images'):
        from_config(own(test=tiny(), train_dataloader=loader), trusted=True)
    code = dict(dataset=dict(type='subprocess.Popen', args='true'))
    with pytest.raises(ValueError, match="'subprocess.Popen' is.*--config"):
        from_config(own(test=tiny(), train_dataloader=code))
    pickled = dict(dataset=dict(type='CIFAR10', data_root='a.pkl'))
    with pytest.raises(ValueError, match='URL or a pickle'):
        from_config(own(test=tiny(), train_dataloader=pickled))
    gone = dict(dataset=dict(type='ImageFolder', data_root='no/where'))
    with pytest.raises(FileNotFoundError, match="in 'no/where', which is not"):
        from_config(own(test=tiny(), train_dataloader=gone))
    blank = dict(dataset=dict(type='Unlabelled', num_images=50))
    with pytest.raises(ValueError, match='50 of 50 training images .* label'):
        from_config(own(test=tiny(), train_dataloader=blank), trusted=True)


@pytest.mark.parametrize('shipped', [False, True])
def test_data_of_another_config(shipped, tmp_path):
    name = 'pauc_mm::benchmarks/linear/tiny_digits.py'
    if not shipped:
        name = str(tmp_path / 'own.py')
        digits = "dict(dataset=dict(type='SklearnDigits', split='{}'))"
        (tmp_path / 'own.py').write_text(
            f'train_dataloader = {digits.format("train")}\n'
            f'val_dataloader = {digits.format("test")}\n'
        )
    train, test = from_data_config(encoder(), name, image_size=16)
    assert len(train) == 1437 and len(test) == 360


def test_voc(voc):
    train, test = from_voc(encoder(), str(voc), image_size=16)
    assert train.classes == ['green', 'red']
    assert train.labels[:4].tolist() == [[-1, 1], [1, -1], [-1, 0], [1, 1]]
    assert (len(train), len(test)) == (18, 9)
    assert train.paths[0].endswith('JPEGImages/000001.jpg')
    assert train.dataset[0]['inputs'].shape == (3, 16, 16)
    for below in ('VOCdevkit', 'VOCdevkit/VOC2007'):
        assert len(VOCClassification(str(voc / below), 'test')) == 9
    train, _ = from_voc(encoder(), str(voc), difficult='negative')
    assert train.labels[2].tolist() == [-1, -1]
    with pytest.raises(ValueError, match="difficult must be .*'skip'"):
        from_voc(encoder(), str(voc), difficult='skip')


@pytest.fixture
def spoilt(voc, tmp_path):
    shutil.copytree(voc, tmp_path / 'voc')
    return tmp_path / 'voc' / 'VOCdevkit' / 'VOC2007'


def refuse(folder, match, error=ValueError):
    with pytest.raises(error, match=match):
        from_voc(encoder(), str(folder))


def test_lists_of_voc_that_are_wrong(spoilt):
    lists = spoilt / 'ImageSets' / 'Main'
    file = lists / 'red_test.txt'
    text = file.read_text()
    file.write_text(text + '000099 2\n')
    refuse(spoilt, "red_test.txt', line 10: expected .*, got '000099 2'")
    file.write_text(text + '000099\n')
    refuse(spoilt, "line 10: expected the name of an image .*got '000099'")
    file.write_text(text + text[:10] + '\n')
    refuse(spoilt, 'line 10: image 000050 is listed twice')
    file.write_text(text + '000099 1\n')
    refuse(spoilt, "'red_test.txt' list different .*1, first 000099")
    file.write_text('\n')
    refuse(spoilt, "red_test.txt' lists no image")
    file.write_text(text.replace('000050', '000001'))
    other = lists / 'green_test.txt'
    other.write_text(other.read_text().replace('000050', '000001'))
    refuse(spoilt, '1 of 9 test images are training images too')
    (spoilt / 'JPEGImages' / '000001.jpg').unlink()
    refuse(spoilt, '1 of 18 listed .*first 000001.jpg', FileNotFoundError)


def test_layouts_that_are_not_voc(spoilt, tmp_path):
    refuse(tmp_path / 'none', 'no folder', FileNotFoundError)
    refuse(
        spoilt / 'JPEGImages',
        'not laid out .*ImageSets/Main/CLASS_trainval.txt.*holds 000001.jpg',
        FileNotFoundError,
    )
    lists = spoilt / 'ImageSets' / 'Main'
    (lists / 'red_test.txt').unlink()
    refuse(spoilt, 'trainval .* has 1: red. Both need')
    (lists / 'green_test.txt').unlink()
    refuse(spoilt, 'VOCtest_06-Nov-2007.tar', FileNotFoundError)
    # test.txt, the list of all images, is not that of a class
    assert (lists / 'test.txt').is_file()


def test_names_of_classes_may_have_an_underscore(spoilt):
    lists = spoilt / 'ImageSets' / 'Main'
    for split in ('trainval', 'test'):
        (lists / f'red_{split}.txt').rename(lists / f'dark_red_{split}.txt')
    assert read_lists(spoilt, 'test')[1] == ['dark_red', 'green']


def test_a_config_is_not_changed(checkpoint):
    source = load_encoder(checkpoint)
    before = copy.deepcopy(source.config.to_dict())
    from_config(source)
    assert source.config.to_dict() == before
