"""A change of --cfg-options that nothing would read is one line that says what to change."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

pytest.importorskip('mmdet')

from mmdet.utils import setup_env
from mmengine.runner import runner

from ge_det.cli.openmmlab import find_script
from ge_det.config_changes import read_names
from ge_det.config_reader import parse_change, read_config
from ge_det.config_writer.options import UserConfig
from ge_det.config_writer.text import write_config
from ge_det.errors import UserError

PATHS = dict(train_json='t.json', val_json='v.json', train_images='ti', val_images='vi')


@pytest.fixture(scope='module')
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    options = UserConfig(**PATHS, classes=('cat', 'dog'), num_images=9, epochs=2, scale=(448, 448))
    path = write_config(options, tmp_path_factory.mktemp('changes') / 'my.py')
    path.write_text(path.read_text() + 'told_to_a_hook = dict(x=1)\n')
    return str(path)


@pytest.mark.parametrize(
    ('change', 'told'),
    {
        'scale=(320,320)': "'scale' is used up .*train_dataloader.dataset.pipeline.2.scale",
        'train_json=x.json': r"'train_json' is.*\(train_dataloader.dataset.ann_file\), or edit",
        'val_images=x': 'val_dataloader.dataset.data_prefix.img, test_data',
        'classes=[a,b]': r'train_dataloader.dataset.metainfo.classes, val_',
        'num_classes=3': r'\(model.roi_head.bbox_head.num_classes\)',
        'metainfo.classes=[a,b]': r'train_dataloader.dataset.metainfo.classes, val_',
        'test_pipeline.1.scale=3': r'val_dataloader.dataset.pipeline.1.scale',
        'dataset_type=x': 'changes nothing.*train_dataloader.dataset.type',
        'optim_wraper.optimizer.lr=0.5': "no such option in .*did you mean 'optim_wrapper'",
        'load_form=x.pth': "no such option in .*did you mean 'load_from'",
        'max_epochs=3': "no such option in .*did you mean 'train_cfg.max_epochs'",
        'batch_size=3': "no such option in .*did you mean 'train_dataloader.batch_size'",
        'zzz=3': 'no such option in .*such as model.type',
    }.items(),
)
def test_what_changes_nothing(config: str, change: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        read_config(config, parse_change(change))
    assert '\n' not in str(caught.value)
    assert str(caught.value).startswith(f'--cfg-options {change.partition("=")[0]}=')


@pytest.mark.parametrize(
    'change',
    [
        *('load_from=x.pth', 'resume=True', 'randomness.seed=3', 'work_dir=x', 'compile=True'),
        *('find_unused_parameters=True', 'auto_scale_lr.enable=True', 'told_to_a_hook.x=2'),
        *('model.backbone.depth=18', 'custom_imports.imports=[json]', 'sync_bn=torch'),
        *('env_cfg.cudnn_benchmark=True', 'tta_pipeline=None', 'experiment_name=x'),
    ],
)
def test_what_is_read(config: str, change: str) -> None:
    read_config(config, parse_change(change))


def test_all_that_mmengine_and_mmdet_read_is_known() -> None:
    sources = [inspect.getsource(runner), inspect.getsource(setup_env)]
    sources += [find_script(name).read_text() for name in ('train', 'test')]
    read = re.findall(r"\bcfg(?:\.get\(\s*'(\w+)'|\['(\w+)'\]|\.(\w+) = )", '\n'.join(sources))
    assert len(read) > 20
    names = {name for found in read for name in found if name}
    assert names - read_names() <= {'data', 'filename'}


def test_of_a_runner_of_others_we_know_nothing(tmp_path: Path) -> None:
    (tmp_path / 'my.py').write_text("runner_type = 'FlexibleRunner'\n")
    read_config(str(tmp_path / 'my.py'), parse_change('strategy.type=x'))
