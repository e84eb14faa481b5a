"""Values of a config that a class does not take: one line with the option, the class, the cause."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmdet.registry import OPTIMIZERS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, METRICS, MODELS, PARAM_SCHEDULERS
from torch import nn
from torch.utils.data import DataLoader

from ge_det.cli.build_errors import told_of_build, wrong_name
from ge_det.cli.checks import check_optimizer
from ge_det.errors import UserError


@DATASETS.register_module()
class NumbersOfATest:
    def __init__(self, count: int) -> None:
        self.half = count / 2


class Base:
    def __init__(self, depth: int = 1) -> None:
        pass


@MODELS.register_module()
class NetworkOfATest(Base):
    def __init__(self, width: int = 1, **others: int) -> None:
        super().__init__(**others)


@MODELS.register_module()
class FaultOfOurs:
    def __init__(self) -> None:
        Base(nobody=1)  # type: ignore[call-arg]


def build(cfg: Config) -> None:
    """What the runner does with a config, in small."""
    if 'optim_wrapper' in cfg:
        wrapper = build_optim_wrapper(nn.Linear(1, 1), cfg.optim_wrapper)
        PARAM_SCHEDULERS.build(cfg.get('scheduler'), default_args=dict(optimizer=wrapper))
    for one in cfg.get('models', ()):
        MODELS.build(one)
    loader = dict(cfg.get('loader', dict(dataset=dict(type='NumbersOfATest', count=1))))
    DataLoader(DATASETS.build(loader.pop('dataset')), **loader)


def told(**settings: object) -> str | None:
    try:
        build(Config(settings))
    except Exception as error:
        return told_of_build(error)
    raise AssertionError('it works')


def optimizer(**settings: object) -> dict[str, object]:
    return dict(type='OptimWrapper', optimizer=settings)


@pytest.mark.parametrize(
    ('settings', 'beginning', 'end'),
    [
        (
            dict(optim_wrapper=optimizer(type='SGD', lr='fast')),
            "optim_wrapper.optimizer: SGD cannot be built with lr='fast' ('<",
            'mend that',
        ),
        (
            dict(optim_wrapper=optimizer(type='Adam', lr=1.0, momentum=0.9)),
            "optim_wrapper.optimizer: Adam does not take 'momentum'; it takes params, lr, betas",
            'its _base_ has set)',
        ),
        (
            dict(
                optim_wrapper=optimizer(type='SGD', lr=1.0),
                scheduler=dict(type='LinearLR', start_factor='x'),
            ),
            "scheduler: LinearLR cannot be built with start_factor='x'",
            'mend that',
        ),
        (
            dict(models=[dict(type='NetworkOfATest'), dict(type='NetworkOfATest', dept=1)]),
            "models.1: NetworkOfATest does not take 'dept'; did you mean 'depth'?",
            'its _base_ has set)',
        ),
        (
            dict(models=[dict(type='NetworkOfATset')]),
            "models.0: there is no 'NetworkOfATset'; did you mean 'NetworkOfATest'?",
            '',
        ),
        (
            dict(loader=dict(dataset=dict(type='NumbersOfATest'))),
            "loader.dataset: NumbersOfATest needs 'count'; write it into the config",
            '',
        ),
    ],
)
def test_the_option_is_named(settings: dict[str, object], beginning: str, end: str) -> None:
    line = told(**settings)
    assert line is not None and line.startswith(beginning) and line.endswith(end)
    assert '\n' not in line


def test_arguments_of_what_no_registry_builds() -> None:
    """As the runner builds its DataLoader inside of a loop that a registry builds."""

    @MODELS.register_module(force=True)
    class LoopOfATest:
        def __init__(self, loader: dict[str, object]) -> None:
            DataLoader([], **loader)  # type: ignore[arg-type]

    line = told(models=[dict(type='LoopOfATest', loader=dict(nosuch=1))])
    assert line is not None and line.startswith(
        "models.0.loader: DataLoader does not take 'nosuch'"
    )


def test_faults_that_no_config_has_named() -> None:
    with pytest.raises(TypeError) as caught:
        build(Config(dict(models=[dict(type='FaultOfOurs')])))
    assert wrong_name(caught.value) is None
    assert told_of_build(ValueError('nothing is built')) is None


def test_an_optimizer_that_does_not_exist() -> None:
    with pytest.raises(UserError, match="type=Adamm: there is no such .*did you mean 'Adam'"):
        check_optimizer(Config(dict(optim_wrapper=optimizer(type='Adamm'))))
    check_optimizer(Config(dict(optim_wrapper=optimizer(type='AdamW'))))
    check_optimizer(Config({}))


def test_an_optimizer_of_the_scope_of_the_config(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = dict(default_scope='mmdet', optim_wrapper=optimizer(type='OfAUser'))
    monkeypatch.setitem(OPTIMIZERS.module_dict, 'OfAUser', torch.optim.SGD)
    check_optimizer(Config(settings))


@pytest.mark.parametrize('content', ['{"images": [', '', '[]', '{"images": [{}]}', '\udcff{}'])
@pytest.mark.parametrize('kind', ['mmdet.CocoDataset', 'mmdet.CocoMetric'])
def test_annotations_that_cannot_be_read(tmp_path: Path, kind: str, content: str) -> None:
    path = tmp_path / 'train.json'
    path.write_bytes(content.encode('utf-8', 'surrogateescape'))
    registry, where = (DATASETS, {'data_root': str(tmp_path), 'ann_file': 'train.json'})
    if kind == 'mmdet.CocoMetric':
        registry, where = (METRICS, {'ann_file': str(path)})
    with pytest.raises(Exception) as caught:
        registry.build({'type': kind, **where})
    said = told_of_build(caught.value) or ''
    assert said.startswith(f'{path}: these annotations cannot be read (')
    assert said.endswith('run make-config again with --force, which says what is wrong')
