import contextlib
import hashlib
import io
import json

import numpy as np
import pytest

from ge_det.datasets import CLASSES, ContextShapes

cv2 = pytest.importorskip('cv2')
pytest.importorskip('pycocotools')

SHAPES = ContextShapes(seed=3)
COUNTS = {'train': 4, 'val': 3}


def write(folder, shapes=SHAPES, **arguments):
    return shapes.write(folder, **{**COUNTS, 'progress': False, **arguments})


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def load(file):
    return json.loads(file.read_text())


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('shapes')
    write(folder)
    return folder


def test_files_and_pixels(finished):
    names = [f'{split}/{i:06d}.png' for split, count in COUNTS.items() for i in range(count)]
    names += ['annotations/train.json', 'annotations/val.json', 'context_shapes.json']
    assert set(tree(finished)) == set(names)
    for split, count in COUNTS.items():
        content = load(finished / 'annotations' / f'{split}.json')
        sha = hashlib.sha256()
        for i in range(count):
            image = cv2.imread(str(finished / split / f'{i:06d}.png'))[:, :, ::-1]
            picture = SHAPES.draw(split, i)
            assert (image == picture.image).all()
            sha.update(np.ascontiguousarray(image).tobytes())
            entry = content['images'][i]
            assert (entry['id'], entry['scene']) == (i + 1, picture.scene)
            assert entry['cue_boxes'] == [list(box) for box in picture.cue_boxes]
        assert content['info']['pixels_sha256'] == sha.hexdigest()
        assert content['info']['spec']['seed'] == 3
        assert [category['name'] for category in content['categories']] == list(CLASSES)
        ids = [annotation['id'] for annotation in content['annotations']]
        assert ids == list(range(1, len(ids) + 1))


def test_more_pictures_keep_the_first_ones(finished, tmp_path):
    write(tmp_path, train=6)
    few, many = (load(folder / 'annotations/train.json') for folder in (finished, tmp_path))
    for key in ('images', 'annotations'):
        assert many[key][: len(few[key])] == few[key]
    for i in range(4):
        name = f'train/{i:06d}.png'
        assert (finished / name).read_bytes() == (tmp_path / name).read_bytes()


def test_finished_set_is_not_drawn_again(finished, monkeypatch):
    before = tree(finished)
    monkeypatch.setattr(ContextShapes, 'draw', None)
    files = write(finished)
    assert files == {split: finished / 'annotations' / f'{split}.json' for split in COUNTS}
    assert tree(finished) == before


@pytest.mark.parametrize('split, stop_at', [('train', 2), ('val', 1)])
def test_interrupted_set_is_completed(finished, tmp_path, monkeypatch, split, stop_at):
    draw = ContextShapes.draw

    def interrupted(self, part, index):
        if (part, index) == (split, stop_at):
            raise KeyboardInterrupt
        return draw(self, part, index)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ContextShapes, 'draw', interrupted)
        write(tmp_path)
    assert not (tmp_path / 'annotations' / f'{split}.json').exists()
    # As a crash of the machine leaves them.
    (tmp_path / 'train/000001.png').write_bytes(b'')
    (tmp_path / 'train/.000002.png.99.part').write_bytes(b'half')
    write(tmp_path)
    (tmp_path / 'train/.000002.png.99.part').unlink()
    assert tree(tmp_path) == tree(finished)


def test_missing_picture_is_drawn_again(finished, tmp_path):
    write(tmp_path)
    (tmp_path / 'val/000001.png').unlink()
    write(tmp_path)
    assert tree(tmp_path) == tree(finished)


@pytest.mark.parametrize(
    'shapes, counts, named',
    [
        (ContextShapes(seed=4), {}, r'seed 3, not 4'),
        (ContextShapes(seed=3, noise=5), {}, r'noise 12, not 5'),
        (SHAPES, {'train': 5}, r'train 4, not 5'),
    ],
)
def test_other_set_is_refused_or_overwritten(finished, tmp_path, shapes, counts, named):
    write(tmp_path)
    (tmp_path / 'val/notes.txt').write_text('mine')
    with pytest.raises(FileExistsError, match=named) as error:
        write(tmp_path, shapes, **counts)
    assert '--overwrite' in str(error.value) and '\n' not in str(error.value)
    assert (tmp_path / 'val/notes.txt').exists()
    assert {**tree(finished), 'val/notes.txt': b'mine'} == tree(tmp_path)
    write(tmp_path, shapes, overwrite=True, **counts)
    assert load(tmp_path / 'annotations/val.json')['info']['spec']['seed'] == shapes.seed
    assert (tmp_path / 'val/notes.txt').read_text() == 'mine'


def test_fewer_pictures_leave_no_old_ones(tmp_path):
    write(tmp_path)
    write(tmp_path, train=2, overwrite=True)
    assert len(list((tmp_path / 'train').iterdir())) == 2


@pytest.mark.parametrize('overwrite', [False, True])
def test_foreign_folder_is_left_alone(tmp_path, overwrite):
    (tmp_path / 'train').mkdir()
    (tmp_path / 'train/000000.png').write_bytes(b'a photo')
    with pytest.raises(FileExistsError, match='not of ContextShapes'):
        write(tmp_path, overwrite=overwrite)
    assert tree(tmp_path) == {'train/000000.png': b'a photo'}


def test_file_in_place_of_the_folder(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(FileExistsError, match='is not a folder'):
        write(tmp_path / 'file')


@pytest.mark.parametrize('count', [0, -1, 2.0, True])
def test_bad_counts_are_named(tmp_path, count):
    with pytest.raises(ValueError, match=f'train={count} must be a whole number from 1'):
        write(tmp_path / 'new', train=count)
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize('kind', ['bbox', 'segm'])
def test_pycocotools_evaluates_it(finished, kind):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(finished / 'annotations/train.json'))
        found = truth.loadRes([{**a, 'score': 0.9} for a in truth.dataset['annotations']])
        evaluation = COCOeval(truth, found, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)
    picture = SHAPES.draw('train', 0)
    for annotation in truth.loadAnns(truth.getAnnIds(imgIds=[1])):
        assert truth.annToMask(annotation).sum() == annotation['area']
    assert len(truth.getAnnIds(imgIds=[1])) == len(picture.annotations)


def test_mmdet_loads_it(finished):
    pytest.importorskip('mmdet')
    from mmdet.datasets import CocoDataset

    data = CocoDataset(
        data_root=str(finished),
        ann_file='annotations/train.json',
        data_prefix={'img': 'train/'},
        metainfo=ContextShapes.METAINFO,
        pipeline=[
            {'type': 'LoadImageFromFile'},  # MMCV's: unknown as mmdet's own.
            {'type': 'mmdet.LoadAnnotations', 'with_bbox': True, 'with_mask': True},
        ],
    )
    assert len(data) == COUNTS['train']
    for i in range(len(data)):
        loaded, picture = data[i], SHAPES.draw('train', i)
        assert (loaded['img'][:, :, ::-1] == picture.image).all()
        labels = [a['category_id'] - 1 for a in picture.annotations]
        assert loaded['gt_bboxes_labels'].tolist() == labels
        assert not loaded['gt_ignore_flags'].any()
        corners = [[x, y, x + w, y + h] for x, y, w, h in (a['bbox'] for a in picture.annotations)]
        assert loaded['gt_bboxes'].tensor.tolist() == corners
        areas = [a['area'] for a in picture.annotations]
        assert loaded['gt_masks'].masks.sum(axis=(1, 2)).tolist() == areas
