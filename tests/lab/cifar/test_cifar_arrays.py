"""CIFAR-10 packed and augmented."""

import hashlib
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from cifar_case import write_arrays
from PIL import Image

from ge_det.errors import UserError
from lab.cifar.arrays import Arrays, pack
from lab.cifar.data import CifarArrays, as_made

SHARED = Path(__file__).parents[4] / 'shared/data/cifar10/cifar10.tar.xz'


def picture(value):
    return np.full((32, 32, 3), value, np.uint8)


def test_folders_of_pictures_are_packed(tmp_path):
    for split in ('train', 'test'):
        for label, name in enumerate(('airplane', 'bird')):
            folder = tmp_path / 'raw' / split / name
            folder.mkdir(parents=True)
            for number in range(2):
                Image.fromarray(picture(50 * label + number)).save(folder / f'{number}.png')
    pack(tmp_path / 'raw', tmp_path / 'packed')
    arrays = Arrays.read(tmp_path / 'packed', 'train')
    assert arrays.labels.tolist() == [0, 0, 1, 1]
    assert arrays.pictures[:, 0, 0, 0].tolist() == [0, 1, 50, 51]
    assert arrays.digest == Arrays.read(tmp_path / 'packed', 'test').digest
    changed = arrays._replace(labels=arrays.labels[::-1])
    assert changed.digest != arrays.digest


def test_the_original_files_are_packed(tmp_path, monkeypatch, peers):
    from mmpretrain.datasets import CIFAR10

    folder = tmp_path / 'cifar-10-batches-py'
    folder.mkdir()
    batch = dict(data=np.arange(2 * 3072).reshape(2, 3072) % 256, labels=[3, 9])
    content = pickle.dumps({k: np.uint8(v) if k == 'data' else v for k, v in batch.items()})
    (folder / 'batch').write_bytes(content)
    names = pickle.dumps(dict(label_names=list(CIFAR10.METAINFO['classes'])))
    (folder / 'names').write_bytes(names)
    known = [['batch', hashlib.md5(content).hexdigest()]]
    monkeypatch.setattr(CIFAR10, 'train_list', known)
    monkeypatch.setattr(CIFAR10, 'test_list', known)
    meta = dict(filename='names', key='label_names', md5=hashlib.md5(names).hexdigest())
    monkeypatch.setattr(CIFAR10, 'meta', meta)
    pack(tmp_path, tmp_path / 'packed')
    arrays = Arrays.read(tmp_path / 'packed', 'train')
    assert arrays.labels.tolist() == [3, 9]
    # Red of all positions first, then green and blue.
    assert arrays.pictures[0, 0, :3].tolist() == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
    assert arrays.pictures.shape == (2, 32, 32, 3)
    (folder / 'batch').write_bytes(content + b' ')
    with pytest.raises(UserError, match='not whole, by its checksums; unpack'):
        pack(tmp_path, tmp_path / 'again')


def test_the_pictures_at_hand_are_packed(tmp_path):
    if not SHARED.is_file():
        pytest.skip(f'{SHARED} is not here')
    with tarfile.open(SHARED) as tar:
        for member in tar:
            if member.isfile() and member.name.endswith('/0007.jpg'):
                member.name = '/'.join(member.name.split('/')[-3:])
                tar.extract(member, tmp_path / 'raw', filter='data')
    pack(tmp_path / 'raw', tmp_path)
    for split in ('train', 'test'):
        arrays = Arrays.read(tmp_path, split)
        assert arrays.labels.tolist() == list(range(10))
        assert arrays.pictures.shape == (10, 32, 32, 3)
        assert arrays.pictures.std() > 30


def test_bad_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match=r'neither .* unpack'):
        pack(tmp_path, tmp_path / 'packed')
    folder = tmp_path / 'train/cat'
    folder.mkdir(parents=True)
    Image.new('RGB', (32, 16)).save(folder / '0.png')
    with pytest.raises(UserError, match='32x16, but CIFAR-10 is 32x32'):
        pack(tmp_path, tmp_path / 'packed')
    (folder / '0.png').write_text('nothing')
    with pytest.raises(UserError, match='no picture'):
        pack(tmp_path, tmp_path / 'packed')
    with pytest.raises(UserError, match='lab.cifar pack FOLDER'):
        CifarArrays(str(tmp_path), 'train')


def test_test_pictures_are_as_they_are(tmp_path):
    write_arrays(tmp_path)
    data, arrays = CifarArrays(str(tmp_path), 'test'), Arrays.read(tmp_path, 'test')
    batch = as_made(data.__getitems__([5, 3]))
    assert batch['inputs'].dtype == torch.uint8
    assert np.array_equal(batch['inputs'].permute(0, 2, 3, 1), arrays.pictures[[5, 3]])
    assert batch['inputs'].is_contiguous(memory_format=torch.channels_last)
    assert [int(sample.gt_label) for sample in batch['data_samples']] == [5, 3]
    assert len(data) == 40


def test_crops_and_flips_are_those_of_the_paper(tmp_path):
    random = np.random.RandomState(0)
    pictures = random.randint(1, 256, (1, 32, 32, 3)).astype(np.uint8)
    np.savez(tmp_path / 'train.npz', pictures=pictures, labels=np.zeros(1, int))
    padded = np.pad(pictures[0], ((4, 4), (4, 4), (0, 0)))
    places = {}
    for top in range(9):
        for left in range(9):
            crop = padded[top : top + 32, left : left + 32]
            places[crop.tobytes()] = (top, left, False)
            places[crop[:, ::-1].tobytes()] = (top, left, True)
    data = CifarArrays(str(tmp_path), 'train', augment=True)
    crops = data.__getitems__([0] * 4000)['inputs'].permute(0, 2, 3, 1).contiguous().numpy()
    seen = [places[crop.tobytes()] for crop in crops]
    assert len({*seen}) == 2 * 9 * 9
    assert 0.45 < np.mean([flipped for _, _, flipped in seen]) < 0.55
    counts = np.bincount([top for top, _, _ in seen])
    assert counts.min() > 4000 / 9 * 0.75
