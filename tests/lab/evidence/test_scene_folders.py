import json

import pytest
from read_scene import read_scene

from ge_det.datasets import ContextShapes
from ge_det.datasets.shapes import SHAPES
from lab.evidence.scene_folders import SCENE_SHAPE_CLASSES, write_scene_folders

cv2 = pytest.importorskip('cv2')
coco_mask = pytest.importorskip('pycocotools.mask')

ARGUMENTS = dict(
    seed=5,
    image_size=(128, 128),
    objects=(1, 1),
    size_shares=(0.6, 0.4, 0),
    context_share=0.4,
    cue_marks=3,
    cue_size=20,
    cue_stripe=5,
    cue_contrast=200,
    cue_clearance=24,
)
ONE_OBJECT = ContextShapes(**ARGUMENTS)
COUNTS = {'train': 40, 'val': 30}


def write(folder, shapes=ONE_OBJECT, **counts):
    return write_scene_folders(shapes, folder, **{**COUNTS, **counts}, progress=False)


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def marker(folder):
    return json.loads((folder / 'scenes.json').read_text())


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    write(folder)
    return folder


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """A folder whose writing stopped at the validation picture 2."""
    draw = ContextShapes.draw

    def stop(self, split, index):
        if (split, index) == ('val', 2):
            raise KeyboardInterrupt
        return draw(self, split, index)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ContextShapes, 'draw', stop)
        write(tmp_path)
    return tmp_path


def test_classes_are_every_scene_with_every_shape_in_alphabetical_order():
    on_land = ['land_cross', 'land_diamond', 'land_disc', 'land_ring', 'land_triangle']
    at_sea = ['sea_cross', 'sea_diamond', 'sea_disc', 'sea_ring', 'sea_triangle']
    assert list(SCENE_SHAPE_CLASSES) == on_land + at_sea


def test_layout(finished):
    assert write(finished) == {'train': finished / 'train', 'val': finished / 'val'}
    assert {path.name for path in finished.iterdir()} == {'train', 'val', 'scenes.json'}
    content = marker(finished)
    assert (content['seed'], content['objects'], content['val']) == (5, [1, 1], 30)
    for split, count in COUNTS.items():
        folders = sorted((finished / split).iterdir())
        assert tuple(folder.name for folder in folders) == SCENE_SHAPE_CLASSES
        names = sorted(path.name for folder in folders for path in folder.iterdir())
        assert names == [f'{index:06d}.png' for index in range(count)]
        held = {folder.name: len(list(folder.iterdir())) for folder in folders}
        assert content['pictures'][split] == held
        assert sum(number > 0 for number in held.values()) >= 8  # No class takes all of them.


def test_a_class_shows_its_scene_and_its_shape(finished):
    for path in finished.rglob('*.png'):
        scene, shape = path.parent.name.split('_')
        image = cv2.imread(str(path))[:, :, ::-1]
        picture = ONE_OBJECT.draw(path.parent.parent.name, int(path.stem))
        assert (image == picture.image).all()
        assert read_scene(image, ARGUMENTS['cue_size']) == scene
        (annotation,) = picture.annotations
        left, top, width, height = annotation['bbox']
        mask = coco_mask.decode(annotation['segmentation']).astype(bool)
        assert (mask[top : top + height, left : left + width] == SHAPES[shape](width)).all()


def test_no_picture_is_in_two_splits_or_in_the_detection_set_of_the_same_seed(finished):
    own = {cv2.imread(str(path))[:, :, ::-1].tobytes() for path in finished.rglob('*.png')}
    assert len(own) == sum(COUNTS.values())
    detection = ContextShapes(**{**ARGUMENTS, 'objects': (1, 3)})
    pictures = [detection.draw('val', index) for index in range(COUNTS['val'])]
    assert any(len(picture.annotations) == 1 for picture in pictures)
    assert not {picture.image.tobytes() for picture in pictures} & own


def test_same_arguments_write_the_same_and_more_pictures_keep_the_first_ones(finished, tmp_path):
    write(tmp_path / 'same')
    assert tree(tmp_path / 'same') == tree(finished)
    write(tmp_path / 'more', train=50)
    more = tree(tmp_path / 'more')
    assert all(more[name] == data for name, data in tree(finished).items() if 'json' not in name)


def test_finished_set_is_not_drawn_again(finished, monkeypatch):
    before = tree(finished)
    monkeypatch.setattr(ContextShapes, 'draw', None)
    write(finished)
    assert tree(finished) == before


def test_interrupted_set_is_completed(finished, interrupted):
    assert 'pictures' not in marker(interrupted)
    held = list(interrupted.rglob('*.png'))
    assert len(held) == COUNTS['train'] + 2
    # As a crash of the machine leaves them.
    held[0].write_bytes(b'')
    part = held[1].with_name('.000001.png.99.part')
    part.write_bytes(b'half')
    write(interrupted)
    part.unlink()
    assert tree(interrupted) == tree(finished)


@pytest.mark.parametrize('damage', ['missing', 'cut off'])
def test_damaged_picture_of_a_finished_set_is_drawn_again(finished, tmp_path, damage):
    write(tmp_path)
    picture = next((tmp_path / 'val').rglob('*.png'))
    if damage == 'missing':
        picture.unlink()
    else:
        picture.write_bytes(picture.read_bytes()[:100])
    write(tmp_path)
    assert tree(tmp_path) == tree(finished)


OTHER_SEED = ContextShapes(**{**ARGUMENTS, 'seed': 6})


@pytest.mark.parametrize(
    'shapes, counts, named',
    [(OTHER_SEED, {}, 'seed 5, not 6'), (ONE_OBJECT, {'val': 31}, 'val 30, not 31')],
)
def test_folder_of_another_set_is_refused(finished, shapes, counts, named):
    before = tree(finished)
    with pytest.raises(FileExistsError, match=rf'{named}\); delete it or give another folder'):
        write(finished, shapes, **counts)
    assert tree(finished) == before


def test_part_of_another_set_is_refused(interrupted):
    with pytest.raises(FileExistsError, match='seed 5, not 6'):
        write(interrupted, OTHER_SEED)


def test_foreign_folder_and_file_are_left_alone(tmp_path):
    (tmp_path / 'photo.png').write_bytes(b'mine')
    with pytest.raises(FileExistsError, match='not of write_scene_folders; give another folder'):
        write(tmp_path)
    with pytest.raises(FileExistsError, match='is not a folder'):
        write(tmp_path / 'photo.png')
    assert tree(tmp_path) == {'photo.png': b'mine'}


@pytest.mark.parametrize('objects', [(1, 2), (2, 2)])
def test_more_than_one_object_is_refused(tmp_path, objects):
    shapes = ContextShapes(**{**ARGUMENTS, 'objects': objects})
    with pytest.raises(ValueError, match=r'one object; make the ContextShapes with objects=\(1, 1'):
        write(tmp_path / 'new', shapes)
    assert not (tmp_path / 'new').exists()


@pytest.mark.parametrize('split', COUNTS)
@pytest.mark.parametrize('count', [0, 2.0])
def test_bad_counts_are_named(tmp_path, split, count):
    with pytest.raises(ValueError, match=f'{split}={count} must be a whole number from 1'):
        write(tmp_path / 'new', **{split: count})
    assert not (tmp_path / 'new').exists()


@pytest.mark.usefixtures('peers')
def test_mmpretrain_reads_it_with_the_classes_in_order(tmp_path):
    from mmpretrain.datasets import CustomDataset

    # So few that some folders are empty: a class keeps its label all the same.
    write(tmp_path, train=4, val=4)
    data = CustomDataset(data_root=str(tmp_path), data_prefix='val')
    assert data.CLASSES == SCENE_SHAPE_CLASSES
    assert len(data) == 4
    for entry in data:
        name = SCENE_SHAPE_CLASSES[entry['gt_label']]
        assert f'/val/{name}/' in entry['img_path']
